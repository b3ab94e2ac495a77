// The option table: each command describes its options once, as data; parsing (arguments.ts), the types of the
// parsed values (here) and the help (help.ts) all come from it, so that they cannot disagree.

/**
 * What a value is. `texts`: comma-separated or repeated; `pairs`: KEY=VALUE, repeated; `paths`: one or more words, or
 * repeated.
 */
type OptionKind = 'flag' | 'text' | 'texts' | 'pairs' | 'path' | 'paths' | 'integer' | 'number'

export type Option = {
  kind: OptionKind
  /** One sentence for the help, without a full stop. */
  help: string
  /** The word that stands for the value in the help, e.g. `DIR`. */
  value?: string
  required?: boolean
  /** Used when the option is not given; shown in the help. */
  default?: number | string
  /** Bounds of a number, both included. */
  min?: number
  max?: number
  /** The only words allowed. */
  choices?: readonly string[]
}

export type OptionTable = Record<string, Option>

type ValueOfKind = {
  flag: boolean
  text: string
  texts: string[]
  pairs: readonly [key: string, value: string][]
  path: string
  paths: string[]
  integer: number
  number: number
}

type ValueOf<O extends Option> = O extends { kind: 'flag' }
  ? boolean
  : O extends { required: true } | { default: number | string }
    ? ValueOfKind[O['kind']]
    : ValueOfKind[O['kind']] | undefined

/** The parsed values of a table, under the options' own names. */
export type Values<T extends OptionTable> = { -readonly [K in keyof T]: ValueOf<T[K]> }

/** Bad usage: exit code 2. The message is complete. */
export class UsageError extends Error {}

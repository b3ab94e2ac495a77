// Fields: the single description of every training setting. Families, the common member settings and the
// run settings are tables of these; the command line, the studio's form and cards, request checks, recipes
// and the documents all read them, so nothing about a setting is written twice.
import { InputError } from '@mistudio/files'

export type FieldValue = number | string | boolean | readonly number[] | null

type Described = {
  /** Shown to users, e.g. `Bandwidth`. */
  label: string
  /** What it does, one or two sentences. */
  help: string
  /** e.g. `tokens`, `steps`, `latents`; absent for a pure number. */
  unit?: string
  /** The paper or the other tool's file that the default comes from. */
  source?: string
  /** How a null default is chosen, e.g. `d_in / 2`. */
  chosen?: string
  /** Where a form shows it; default with the table's own. */
  group?: FieldGroup
}

export const fieldGroups = ['common', 'optimiser', 'schedule', 'initialisation', 'dead latents'] as const
export type FieldGroup = (typeof fieldGroups)[number]

export type Field = Described &
  (
    | { kind: 'integer' | 'number'; default: number | null; min?: number; max?: number; above?: number }
    | { kind: 'choice'; default: string; choices: readonly string[] }
    | { kind: 'flag'; default: boolean }
    /** The family checks whether they must ascend; comma-separated on the command line. */
    | { kind: 'integers' | 'numbers'; default: readonly number[] | null; min?: number; max?: number }
  )

/** Keys are camelCase; `wireName` gives the name users see. */
export type FieldTable = Readonly<Record<string, Field>>

type ValueOf<F extends Field> = F extends { kind: 'integer' | 'number'; default: infer D }
  ? D extends null
    ? number | null
    : number
  : F extends { kind: 'choice'; choices: readonly (infer C)[] }
    ? C
    : F extends { kind: 'flag' }
      ? boolean
      : readonly number[] | null

/** The values of a table, all present. null: chosen later, by `complete` of the family or the run. */
export type ConfigOf<T extends FieldTable> = { -readonly [K in keyof T]: ValueOf<T[K]> }

/** Settings under their wire names, as a user or a request gives them. */
export type Settings = Readonly<Record<string, FieldValue>>

/** Keeps the literal types of a table (its choices). */
export const fieldTable = <const T extends FieldTable>(table: T): T => table

/** `targetL0` → `target_l0`, `kAux` → `k_aux`. */
export const wireName = (key: string): string =>
  key.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

/** The fields of a table by wire name. */
export const byWireName = (table: FieldTable): Map<string, { key: string; field: Field }> =>
  new Map(Object.entries(table).map(([key, field]) => [wireName(key), { key, field }]))

/**
 * Reads the settings of one table: defaults for what is not given. Names of other tables are ignored.
 * @throws InputError naming the field, the value found and what is allowed
 */
export function readFields<T extends FieldTable>(table: T, given: Settings): ConfigOf<T> {
  const values: Record<string, FieldValue> = {}
  for (const [name, { key, field }] of byWireName(table)) {
    const value = given[name]
    values[key] = value === undefined ? field.default : checked(name, field, value)
  }
  return values as ConfigOf<T>
}

/** The settings of a configuration under their wire names. */
export function writeFields<T extends FieldTable>(table: T, config: ConfigOf<T>): Record<string, FieldValue> {
  return Object.fromEntries(
    Object.keys(table).map(key => [wireName(key), (config as Record<string, FieldValue>)[key]]),
  )
}

function checked(name: string, field: Field, value: FieldValue): FieldValue {
  const refuse = (expected: string) =>
    new InputError({
      message: `${name} is out of range`,
      field: name,
      found: JSON.stringify(value),
      expected,
    })
  if (value === null && field.default === null) return null
  switch (field.kind) {
    case 'integer':
    case 'number':
      if (typeof value === 'number' && inRange(field, value)) return value
      throw refuse(rangeText(field))
    case 'choice':
      if (typeof value === 'string' && field.choices.includes(value)) return value
      throw refuse(field.choices.join(' or '))
    case 'flag':
      if (typeof value === 'boolean') return value
      throw refuse('true or false')
    case 'integers':
    case 'numbers': {
      const one = { ...field, kind: field.kind === 'integers' ? ('integer' as const) : ('number' as const) }
      if (Array.isArray(value) && value.length > 0 && value.every(v => inRange(one, v))) return value
      throw refuse(`a list, each ${rangeText(one)}`)
    }
  }
}

type Range = { kind: 'integer' | 'number'; min?: number; max?: number; above?: number }

function inRange({ kind, min, max, above }: Range, value: unknown): boolean {
  if (typeof value !== 'number' || !Number.isFinite(value)) return false
  if (kind === 'integer' && !Number.isSafeInteger(value)) return false
  return (
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above)
  )
}

/** e.g. `a whole number, 1 … 65,536`. */
export function rangeText({ kind, min, max, above }: Range): string {
  const what = kind === 'integer' ? 'a whole number' : 'a number'
  const n = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 12 })
  if (above !== undefined) return `${what} above ${n(above)}${max === undefined ? '' : `, at most ${n(max)}`}`
  if (min !== undefined && max !== undefined) return `${what}, ${n(min)} … ${n(max)}`
  if (min !== undefined) return `${what}, at least ${n(min)}`
  return max === undefined ? what : `${what}, at most ${n(max)}`
}

/**
 * A value from the command line, `--set KEY=VALUE`.
 * @throws InputError if the text is not a value of the field
 */
export function parseFieldText(name: string, field: Field, text: string): FieldValue {
  const numberOf = (word: string) => (word.trim() === '' ? Number.NaN : Number(word))
  switch (field.kind) {
    case 'integer':
    case 'number':
      return checked(name, field, text === 'null' && field.default === null ? null : numberOf(text))
    case 'flag':
      return checked(name, field, text === 'true' ? true : text === 'false' ? false : text)
    case 'integers':
    case 'numbers':
      return checked(
        name,
        field,
        text === 'null' && field.default === null ? null : text.split(',').map(numberOf),
      )
    case 'choice':
      return checked(name, field, text)
  }
}

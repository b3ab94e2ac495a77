// Parses the words after a command by its option table. node:util cuts the line into tokens; every judgement
// (unknown, missing, malformed, out of bounds) is ours, so that each message names the option and what it wants.
import { parseArgs } from 'node:util'
import { type Option, type OptionTable, UsageError, type Values } from './option_table.ts'

/**
 * Parses `words` by `table`.
 * @param options.command name for the messages, e.g. `sae train`
 * @returns the values under the options' names, defaults filled in
 * @throws UsageError naming the option, what was found and what is expected
 */
export function parseOptions<T extends OptionTable>({
  command,
  table,
  words,
}: {
  command: string
  table: T
  words: readonly string[]
}): Values<T> {
  const given = collect({ command, table, words })
  const values: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(table)) {
    const found = given.get(name)
    if (found === undefined && option.required) {
      throw new UsageError(`\`${command}\` needs --${name}${option.value ? ` ${option.value}` : ''}`)
    }
    values[name] = found === undefined ? absent(option) : convert({ name, option, found })
  }
  return values as Values<T>
}

/** The words given to each option, in order. */
function collect({
  command,
  table,
  words,
}: {
  command: string
  table: OptionTable
  words: readonly string[]
}): Map<string, string[]> {
  const kinds = Object.entries(table).map(
    ([name, { kind }]) => [name, { type: kind === 'flag' ? 'boolean' : 'string', multiple: true }] as const,
  )
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(kinds),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const given = new Map<string, string[]>()
  // The option that further plain words belong to: `--text a.jsonl b.jsonl`.
  let open: string | undefined
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') {
      if (open === undefined)
        throw new UsageError(`\`${command}\` does not know what to do with \`${token.value}\``)
      given.get(open)!.push(token.value)
      continue
    }
    const { name, rawName, value, inlineValue } = token
    const option = Object.hasOwn(table, name) && rawName.startsWith('--') ? table[name] : undefined
    if (option === undefined) throw new UsageError(unknownOption({ command, table, rawName }))
    if (option.kind === 'flag') {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value; found: \`${value}\``)
    } else if (value === undefined || (!inlineValue && value.startsWith('--'))) {
      throw new UsageError(`${rawName} needs a value: ${rawName} ${option.value ?? 'VALUE'}`)
    }
    const several = ['texts', 'pairs', 'paths'].includes(option.kind)
    if (given.has(name) && !several && option.kind !== 'flag') {
      throw new UsageError(`${rawName} is given twice; expected: once`)
    }
    given.set(name, [...(given.get(name) ?? []), value ?? ''])
    open = option.kind === 'paths' ? name : undefined
  }
  return given
}

function absent(option: Option): unknown {
  return option.kind === 'flag' ? false : option.default
}

function convert({ name, option, found }: { name: string; option: Option; found: string[] }): unknown {
  const fail = (value: string, expected: string) =>
    new UsageError(`--${name} cannot be used; found: \`${value}\`; expected: ${expected}`)
  switch (option.kind) {
    case 'flag':
      return true
    case 'integer':
    case 'number': {
      const [word] = found
      const number = /^[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)
        ? Number(word.replaceAll('_', ''))
        : Number.NaN
      const whole = option.kind === 'number' || Number.isSafeInteger(number)
      const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = option
      if (!Number.isFinite(number) || !whole || number < min || number > max) throw fail(word, range(option))
      return number
    }
    case 'texts': {
      const parts = found.flatMap(word => word.split(',')).map(word => word.trim())
      if (parts.includes('')) throw fail(found.join(' '), `${option.value ?? 'words'}, separated by commas`)
      return [...new Set(parts)]
    }
    case 'pairs':
      return found.map(word => {
        const [, key, value] = /^([^=]+)=(.*)$/s.exec(word) ?? []
        if (key === undefined) throw fail(word, 'KEY=VALUE')
        return [key.trim(), value.trim()]
      })
    case 'paths':
      if (found.includes('')) throw fail('', 'a path')
      return found
    case 'path':
      if (found[0] === '') throw fail('', 'a path')
      return found[0]
    case 'text': {
      const { choices } = option
      if (choices !== undefined && !choices.includes(found[0])) throw fail(found[0], choices.join(' or '))
      return found[0]
    }
  }
}

/** What a number option accepts, in words: `a whole number from 1 to 64`. */
export function range({ kind, min, max }: Option): string {
  const noun = kind === 'integer' ? 'a whole number' : 'a number'
  if (min !== undefined && max !== undefined) return `${noun} from ${min} to ${max}`
  if (min !== undefined) return `${noun}, ${min} or more`
  return max === undefined ? noun : `${noun}, ${max} or less`
}

function unknownOption({
  command,
  table,
  rawName,
}: {
  command: string
  table: OptionTable
  rawName: string
}): string {
  const near = nearest(rawName.replace(/^-+/, ''), Object.keys(table))
  const hint = near === undefined ? '' : `; did you mean --${near}?`
  return `\`${command}\` has no option ${rawName}${hint}`
}

/** The candidate within two edits of `word`, for messages. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let least = 3
  for (const candidate of candidates) {
    const edits = editDistance(word, candidate)
    if (edits < least && edits < candidate.length) {
      best = candidate
      least = edits
    }
  }
  return best
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]
}

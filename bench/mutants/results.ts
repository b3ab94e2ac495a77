// What became of the mutants: a line of JSON each, so that a run that was ended goes on where it was; and what was decided
// of those that lived.
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Mutant } from './draw.ts'

export type Result = Mutant & {
  room: string
  key: string
  line: number
  /** The line that it is in, as it was and as it became. */
  before: string
  after: string
  outcome: 'killed' | 'timed out' | 'survived'
  /** What failed first. */
  by: string
  seconds: number
}

/** A survivor that no test could kill, or that none should; `before` and `after` as in the result. */
export type Verdict = { file: string; before: string; after: string; why: string }

const verdictsPath = fileURLToPath(new URL('./equivalent.json', import.meta.url))

export const readVerdicts = (): Verdict[] =>
  existsSync(verdictsPath) ? (JSON.parse(readFileSync(verdictsPath, 'utf8')) as Verdict[]) : []

export const isEquivalent = (verdicts: readonly Verdict[], one: Result): Verdict | undefined =>
  verdicts.find(
    ({ file, before, after }) => file === one.file && before === one.before && after === one.after,
  )

/** Where a mutant lies in the text that it is drawn from. */
export function describeMutant(
  root: string,
  mutant: Mutant,
): Pick<Result, 'key' | 'line' | 'before' | 'after'> {
  const { file, start, end, text } = mutant
  const whole = readFileSync(join(root, file), 'utf8')
  const from = whole.lastIndexOf('\n', start - 1) + 1
  const to = (at: number, given: string) => (given.indexOf('\n', at) + 1 || given.length + 1) - 1
  const changed = whole.slice(0, start) + text + whole.slice(end)
  return {
    key: createHash('sha256')
      .update(JSON.stringify([file, whole, start, end, text]))
      .digest('hex')
      .slice(0, 16),
    line: whole.slice(0, start).split('\n').length,
    before: whole.slice(from, to(end, whole)).trim().split('\n')[0],
    after: changed
      .slice(from, to(start + text.length, changed))
      .trim()
      .split('\n')[0],
  }
}

export function readResults(path: string): Map<string, Result> {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []
  const all = lines.map(line => JSON.parse(line) as Result)
  // Of a change behind the first line of a statement the change alone tells more.
  const plain = (one: Result): Result =>
    one.before === one.after ? { ...one, before: one.was.trim(), after: one.text.trim() } : one
  return new Map(all.map(one => [one.key, plain(one)]))
}

export const addResult = (path: string, result: Result): void =>
  appendFileSync(path, `${JSON.stringify(result)}\n`)

export const forget = (path: string, results: Map<string, Result>, which: (one: Result) => boolean): void => {
  for (const one of results.values()) if (which(one)) results.delete(one.key)
  writeFileSync(path, [...results.values()].map(one => `${JSON.stringify(one)}\n`).join(''))
}

// The folders of a job's attempts: each writes into its own, so that a runner that should be dead harms nobody.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const attemptOf = (folder: string, attempt: number) => join(folder, `attempt-${attempt}`)

/** Makes the folder of an attempt, empty. */
export function makeAttempt(out: string): void {
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
}

/** Moves `name` out of the newest earlier attempt that has it: only once no runner of that one lives. */
export function takeOver(options: { folder: string; attempt: number; name: string }): void {
  const { folder, attempt, name } = options
  for (let earlier = attempt - 1; earlier >= 1; earlier--) {
    const from = join(attemptOf(folder, earlier), name)
    if (!existsSync(from)) continue
    renameSync(from, join(attemptOf(folder, attempt), name))
    return
  }
}

/** Removes what earlier attempts left, once this one's result is written down. */
export function dropEarlier(options: { folder: string; attempt: number }): void {
  for (let earlier = 1; earlier < options.attempt; earlier++) {
    rmSync(attemptOf(options.folder, earlier), { recursive: true, force: true })
  }
}

/** @returns absolute path of the run of the newest attempt that has one */
export function newestRun(folder: string): string | undefined {
  if (!existsSync(folder)) return undefined
  return readdirSync(folder)
    .flatMap(name => /^attempt-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a)
    .map(attempt => join(attemptOf(folder, attempt), 'run'))
    .find(run => existsSync(run))
}

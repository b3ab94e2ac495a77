// `training.json`, what a run leaves next to its SAEs: its settings and results. A second run with `resume`
// reads it, so that finished work is not repeated and other work is not overwritten.
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkSettings, InputError, writeFileAtomic } from '@mistudio/files'
import type { TrainedSae } from '../finish/train_finish.ts'
import { checkpointsDir } from './checkpoint.ts'

type Settings = Record<string, unknown>

export type TrainResult = {
  /** `completed`: no SAE has steps left to take, though some may have failed; `failed`: all did. */
  status: 'completed' | 'stopped' | 'paused' | 'failed'
  step: number
  tokens: number
  /** Those that ended; all of them unless the run is paused. */
  saes: TrainedSae[]
}

export type TrainRecord = TrainResult & { settings: Settings }

export const recordFile = (out: string) => join(out, 'training.json')

export function writeTraining(options: { out: string; settings: Settings; result: TrainResult }): void {
  const { out, settings, result } = options
  mkdirSync(out, { recursive: true })
  writeFileAtomic(recordFile(out), `${JSON.stringify({ ...result, settings }, null, 2)}\n`)
}

/** @returns undefined if there is none. @throws InputError if it is damaged */
export function readTraining(out: string): TrainRecord | undefined {
  const file = recordFile(out)
  if (!existsSync(file)) return undefined
  const message = 'the record of the training cannot be read'
  let saved: Partial<TrainRecord> | null
  try {
    saved = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new InputError({ message, file, found: String(error) })
  }
  const { status, step, tokens, saes, settings } = saved ?? {}
  const known = [status, step, tokens, settings].every(value => value !== undefined) && Array.isArray(saes)
  if (!known) throw new InputError({ message, file, expected: 'status, settings, step, tokens and saes' })
  return saved as TrainRecord
}

/**
 * What an earlier run left in the folder.
 * @returns its result if it is complete, undefined if there is work to do
 * @throws InputError if the folder holds a run that this one does not resume or whose settings differ
 */
export function earlierTraining(options: {
  out: string
  settings: Settings
  resume: boolean
}): TrainResult | undefined {
  const { out, settings, resume } = options
  if (!resume) {
    const found = [recordFile(out), checkpointsDir(out)].find(path => existsSync(path))
    if (found === undefined) return undefined
    throw new InputError({
      message: 'the output folder already holds a training',
      file: found,
      expected: 'another folder, or --resume to continue this one',
    })
  }
  const saved = readTraining(out)
  if (saved === undefined) return undefined
  const { settings: before, ...result } = saved
  checkSettings({ file: recordFile(out), saved: before, asked: settings })
  return result.status === 'completed' ? result : undefined
}

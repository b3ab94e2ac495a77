// `training.json`, what a run leaves beside its SAEs: its settings and what came out. It is what a second run
// with `resume` finds, so that finished work is not done again and other work is not overwritten.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InputError, writeFileAtomic } from '@mistudio/tensor'
import { checkSettings } from './checkpoint.ts'
import type { TrainResult } from './train.ts'

type Settings = Record<string, unknown>

const fileOf = (out: string) => join(out, 'training.json')

export function writeTraining(options: { out: string; settings: Settings; result: TrainResult }): void {
  const { out, settings, result } = options
  writeFileAtomic(fileOf(out), `${JSON.stringify({ ...result, settings }, null, 2)}\n`)
}

/**
 * What an earlier run left in the folder.
 * @returns its result when it is complete, undefined when there is work to do
 * @throws InputError when the folder holds a run and this one does not resume it, or has other settings
 */
export function earlierTraining(options: {
  out: string
  settings: Settings
  resume: boolean
}): TrainResult | undefined {
  const { out, settings, resume } = options
  const file = fileOf(out)
  const checkpoint = join(out, 'checkpoint')
  if (!resume) {
    const found = [file, checkpoint].find(path => existsSync(path))
    if (found === undefined) return undefined
    throw new InputError({
      message: 'the output folder already holds a training',
      file: found,
      expected: 'another folder, or --resume to go on with this one',
    })
  }
  if (!existsSync(file)) return undefined
  let saved: Partial<TrainResult & { settings: Settings }> | null
  try {
    saved = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new InputError({ message: 'the record of the training cannot be read', file, found: String(error) })
  }
  if (saved?.status !== 'completed') return undefined
  const { status, step, tokens, saes } = saved
  if (saved.settings === undefined || step === undefined || tokens === undefined || saes === undefined) {
    const expected = 'settings, step, tokens and saes'
    throw new InputError({ message: 'the record of the training cannot be read', file, expected })
  }
  checkSettings({ file, saved: saved.settings, asked: JSON.parse(JSON.stringify(settings)) })
  return { status, step, tokens, saes }
}

// Retries one SAE of a run that failed or was stopped, from its last checkpoint or from the start, if need be with other
// settings, since the same data would fail the same way. It trains in its own folder, `retries/NAME`, on the
// activations of the whole run; when complete it moves next to the others.
import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { InputError, notFound, writeFileAtomic } from '@mistudio/files'
import type { TrainedSae } from '../finish/train_finish.ts'
import { checkpointDir, listCheckpoints, readCheckpoint, readState, writeCheckpoint } from './checkpoint.ts'
import { planTraining, type TrainOptions } from './run_plan.ts'
import { trainSaes } from './train.ts'
import { hooksOf } from './train_member.ts'
import { readTraining, recordFile, type TrainResult, writeTraining } from './train_record.ts'

/**
 * @param options.members those of the run; only the one named may have new settings
 * @param options.from `checkpoint`: the newest that holds it, or the start if there is none
 * @returns the result of the whole run, including this SAE's new one; unchanged except for `status` if it was stopped again
 * @throws InputError if the folder holds no run, no such SAE, or one that is complete
 */
export async function retrySae(
  options: TrainOptions & { name: string; from: 'checkpoint' | 'start' },
): Promise<TrainResult> {
  const { out, name, from } = options
  const record = readTraining(out)
  const before = record?.saes.find(sae => sae.name === name)
  const member = options.members.find(one => one.name === name)
  if (record === undefined) {
    const expected = 'the folder of a run that has ended'
    throw new InputError({ message: 'there is no training to retry', file: recordFile(out), expected })
  }
  if (before === undefined || member === undefined) {
    throw notFound({ what: 'SAE', field: 'retry', name, known: record.saes.map(sae => sae.name) })
  }
  if (before.status === 'completed') {
    throw new InputError({
      message: 'the SAE is complete',
      field: 'retry',
      found: name,
      expected: 'one that failed or was stopped',
    })
  }
  const planned = planTraining(options)
  const { activations } = planned
  // The outlier rule looks at all hook points of a window, so a retry captures those of the whole run.
  const hooks = [...new Set(planned.members.flatMap(one => hooksOf(one.hooks)))]
  const folder = join(out, 'retries', name)
  const alone: TrainOptions = {
    ...options,
    activations: { ...activations, open: asked => activations.open({ ...asked, hooks }) },
    members: [member],
    out: folder,
    resume: true,
  }
  if (from === 'start' && listCheckpoints(folder).length === 0)
    rmSync(folder, { recursive: true, force: true })
  if (from === 'checkpoint') await takeCheckpoint({ alone, out, name })
  const result = await trainSaes(alone)
  if (result.status !== 'completed') return { ...record, status: result.status }
  const [sae] = result.saes
  const place = join(out, name)
  rmSync(place, { recursive: true, force: true })
  renameSync(join(folder, name), place)
  const { settings, ...rest } = record
  const whole: TrainResult = {
    ...rest,
    status: rest.status === 'failed' ? 'completed' : rest.status,
    saes: record.saes.map(one => (one.name === name ? sae : one)),
  }
  writeTraining({ out, settings, result: whole })
  rewriteState(out, sae)
  rmSync(folder, { recursive: true, force: true })
  return whole
}

/** Copies the SAE's part of the newest checkpoint that holds it into the retry's folder. */
async function takeCheckpoint(options: { alone: TrainOptions; out: string; name: string }): Promise<void> {
  const { alone, out, name } = options
  if (listCheckpoints(alone.out).length > 0) return
  const step = listCheckpoints(out).findLast(
    candidate => readState(out, candidate).members[name]?.status === 'training',
  )
  if (step === undefined) return
  const { state, tensorsOf } = readCheckpoint({ out, step })!
  await writeCheckpoint({
    out: alone.out,
    state: {
      ...state,
      settings: planTraining(alone).described,
      members: { [name]: state.members[name] },
      fvu: null,
    },
    saes: new Map([[name, tensorsOf(name)]]),
  })
}

/** A stopped run continues from its newest checkpoint; the SAE is now done there. */
function rewriteState(out: string, sae: TrainedSae): void {
  const step = listCheckpoints(out).at(-1)
  if (step === undefined) return
  const state = readState(out, step)
  const members = { ...state.members, [sae.name]: { status: sae.status, sae } }
  const file = join(checkpointDir(out, step), 'state.json')
  if (existsSync(file)) writeFileAtomic(file, `${JSON.stringify({ ...state, members }, null, 2)}\n`)
}

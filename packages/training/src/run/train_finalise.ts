// Finishes SAEs from any checkpoint of a run without further training: this needs only the checkpoint's settings and
// hook points, and for BatchTopK's calibrated threshold the run's training tokens.
import { join } from 'node:path'
import type { ActivationSource } from '@mistudio/capture'
import { InputError, isObject } from '@mistudio/files'
import type { WorkerPool } from '@mistudio/tensor'
import { readFields, type Settings } from '../fields.ts'
import { finishMembers, type TrainedSae } from '../finish/train_finish.ts'
import { createLearner as createFastLearner } from '../learner/learner.ts'
import { completeMember, type TrainMember } from '../member.ts'
import { completeRun, type Run, runFields } from '../run_settings.ts'
import { readCheckpoint, type StoredMember } from './checkpoint.ts'
import { type CreateLearner, openMember } from './train_member.ts'
import { isStoredTraining, restoreMember } from './train_member_state.ts'
import { finishingOf } from './train_report.ts'

export type Finalised = { step: number; dir: string; saes: TrainedSae[] }

/**
 * Saves the SAEs that were still training at a checkpoint; those that had ended are in the run's folder.
 * @param options.run the run's folder
 * @param options.step default: the newest checkpoint
 * @param options.into default: `<run>/finalised-<step>`
 * @param options.buffers the run's training tokens; if absent, BatchTopK keeps its running threshold
 * @throws InputError if there is no such checkpoint or it is damaged
 */
export async function finaliseCheckpoint(options: {
  pool: WorkerPool
  run: string
  step?: number
  into?: string
  activations?: ActivationSource
  createLearner?: CreateLearner
}): Promise<Finalised> {
  const { pool, activations, createLearner = createFastLearner } = options
  const found = readCheckpoint({ out: options.run, step: options.step })
  if (found === undefined) {
    const expected = 'a run that was stopped or kept its checkpoints (keep_at_end)'
    throw new InputError({ message: 'the run has no checkpoint', file: options.run, expected })
  }
  const { state, file, tensorsOf } = found
  const { run, members, widths, modelName, datasets, contextSize } = readSettings(state.settings, file)
  const into = options.into ?? join(options.run, `finalised-${state.step}`)
  const training = members.filter(({ name }) => state.members[name]?.status === 'training')
  const buffer =
    activations === undefined || !training.some(needsTokens)
      ? undefined
      : await activations.open({
          hooks: Object.keys(widths),
          contexts: run.windowContexts,
          seed: run.seed,
          storedDtype: run.storedDtype,
          outlierNormMultiple: run.outlierNormMultiple,
        })
  const calibration =
    buffer === undefined || activations === undefined
      ? undefined
      : { buffer, first: state.window + 1, buffers: Math.ceil(activations.contexts / run.windowContexts) }
  const saes: TrainedSae[] = []
  try {
    for (const asked of training) {
      const stored: StoredMember = state.members[asked.name]
      if (!isStoredTraining(stored)) throw unreadable(file, `members.${asked.name}`)
      const { batchSize, totalSteps, trainTokens } = run
      const widthOf = (hook: string) => widths[hook]
      const member = completeMember({ member: asked, widthOf, batchSize, totalSteps, trainTokens })
      const running = await openMember({ pool, member, run, createLearner })
      try {
        restoreMember(running, stored, tensorsOf(asked.name))
        const context = { pool, run, out: into, modelName, datasets, contextSize, calibration }
        saes.push(...(await finishMembers([finishingOf(running, 'stopped')], context)))
      } finally {
        await running.learner.close()
      }
    }
  } finally {
    await buffer?.close()
  }
  return { step: state.step, dir: into, saes }
}

const needsTokens = ({ family, settings }: TrainMember): boolean =>
  family === 'batchtopk' || family === 'matryoshka' || settings.activation === 'batchtopk'

/** What `describeRun` wrote. @throws InputError if it is anything else */
function readSettings(settings: Record<string, unknown>, file: string) {
  const { members, model, datasets, context_size: contextSize, hook_widths: widths } = settings
  const isTexts = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every(one => typeof one === 'string')
  if (!isObject(members) || !isObject(widths) || typeof model !== 'string' || !isTexts(datasets)) {
    throw unreadable(file, 'settings')
  }
  if (typeof contextSize !== 'number' || !Object.values(widths).every(Number.isSafeInteger)) {
    throw unreadable(file, 'settings.context_size, settings.hook_widths')
  }
  const asked = Object.entries(members).map(([name, described]): TrainMember => {
    if (!isObject(described)) throw unreadable(file, `settings.members.${name}`)
    const { family, inputs, outputs, d_sae: dSae, name: _, ...rest } = described
    if (typeof family !== 'string' || !isTexts(inputs) || !isTexts(outputs) || typeof dSae !== 'number') {
      throw unreadable(file, `settings.members.${name}`)
    }
    return { name, family, inputs, outputs, dSae, settings: rest as Settings }
  })
  const given = readFields(runFields, settings as Settings)
  const run: Run = completeRun(given, { contextSize, contexts: Number.MAX_SAFE_INTEGER / contextSize })
  return {
    run,
    members: asked,
    widths: widths as Record<string, number>,
    modelName: model,
    datasets,
    contextSize,
  }
}

const unreadable = (file: string, field: string) =>
  new InputError({
    message: 'the checkpoint cannot be read',
    file,
    field,
    expected: 'the settings of a training',
  })

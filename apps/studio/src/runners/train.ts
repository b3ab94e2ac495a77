// Train: SAEs of all hook points from one pass of the model over the training documents of all datasets, or one of them
// again.
import { join } from 'node:path'
import { parseHookPoint, type TrainingMember } from '@mistudio/contract'
import {
  givenRun,
  type MemberProgress,
  type RunMember,
  retrySae,
  type TrainProgress,
  trainSaes,
} from '@mistudio/training'
import type { RunnerContext, Work } from './context.ts'
import type { TrainSpec } from './spec.ts'
import { withActivations } from './train_capture.ts'

export const train: Work<'train'> = (spec, context) =>
  withActivations(spec, context, async opened => {
    const { members, modelName, datasetNames, hyperparameters, checkpointEverySteps, retry } = spec
    const { train_tokens: trainTokens, batch_size: batchSize, seed } = hyperparameters
    const options = {
      ...opened,
      members,
      settings: {
        ...givenRun(hyperparameters.run),
        trainTokens,
        batchSize,
        seed,
        ...(checkpointEverySteps !== undefined && { checkpointEverySteps }),
      },
      modelName,
      datasets: datasetNames,
      out: join(spec.out, 'run'),
      resume: true,
      stopped: context.signal.stopped,
      onEvent: reporter(spec, context),
    }
    const { status, step, tokens } =
      retry === undefined
        ? await trainSaes(options)
        : await retrySae({ ...options, name: retry, from: 'checkpoint' })
    const totalSteps = Math.ceil(trainTokens / batchSize)
    return {
      kind: 'train',
      status: status === 'completed' ? 'completed' : 'stopped',
      step,
      totalSteps,
      tokens,
    }
  })

/** The engine tells of every second or longer, and each event's means are of the interval since the one before. */
function reporter(
  { trainingId, members }: TrainSpec,
  { emit }: RunnerContext,
): (event: TrainProgress) => void {
  return ({ event, status: _, saes, ...measured }) => {
    const progress = measured.step / measured.total_steps
    const reported = saes.map(sae => memberOf(members.find(({ name }) => name === sae.name)!, sae))
    const data = { training_id: trainingId, ...measured, progress, saes: reported }
    // How it ended is the host's to say; the last figures are told as progress.
    emit({ event: 'training:progress', data })
    if (event === 'training:checkpoint') {
      emit({ event, data: { training_id: trainingId, step: measured.step } })
    }
  }
}

/** The engine's figures under the wire's names. A figure that is no number is not shown as one. */
function memberOf(member: RunMember, told: MemberProgress): TrainingMember {
  const { status, step, error, dead_latents, l0_histogram, density_histogram, warned, threshold } = told
  const place = member.inputs.length === 1 ? parseHookPoint(member.inputs[0]) : undefined
  const figures = {
    ...told,
    threshold_median: threshold?.median ?? null,
    threshold_moved: threshold?.moved ?? null,
  }
  const metrics = Object.fromEntries(
    Object.entries(figures).flatMap(([name, value]) =>
      typeof value === 'number' || value === null ? [[name, finite(value)]] : [],
    ),
  )
  return {
    name: member.name,
    family: member.family,
    variant: structuredClone(member.variant) as TrainingMember['variant'],
    hook_point: member.inputs[0],
    inputs: [...member.inputs],
    outputs: [...(member.outputs.length > 0 ? member.outputs : member.inputs)],
    layer: place?.layer ?? null,
    hook_type: place?.hookType ?? null,
    d_sae: member.dSae,
    status,
    step,
    error_message: error,
    loss: finite(told.loss),
    fvu: finite(told.fvu),
    l0: finite(told.l0),
    dead_latents,
    grad_norm: finite(told.grad_norm),
    metrics,
    l0_histogram,
    density_histogram,
    warnings: warned.map(warning => ({ ...warning })),
  }
}

const finite = (value: number | null) => (value !== null && Number.isFinite(value) ? value : null)

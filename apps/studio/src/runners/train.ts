// Train: SAEs of all hook points from one pass of the model over the training documents of all datasets.
import { join } from 'node:path'
import { parseHookPoint, type TrainingMember } from '@mistudio/contract'
import { openTokenStore, type TokenStore } from '@mistudio/corpus'
import { checkStore, compileForward, contextsPerCall, openModel } from '@mistudio/model'
import {
  givenRun,
  type MemberProgress,
  type RunMember,
  shuffledContexts,
  type TrainProgress,
  trainSaes,
} from '@mistudio/sae'
import { InputError, withLanes } from '@mistudio/tensor'
import type { RunnerContext, Work } from './context.ts'
import type { TrainSpec } from './spec.ts'

export const train: Work<'train'> = async (spec, context) => {
  const { modelDir, modelName, cacheDir, members, datasetNames, hyperparameters, out } = spec
  const { seed, context_size: contextSize } = hyperparameters
  const hooks = [...new Set(members.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))]
  const model = await openModel({ dir: modelDir, cacheDir })
  const stores: TokenStore[] = []
  try {
    for (const dir of spec.stores) stores.push(openTokenStore({ dir }))
    for (const store of stores) {
      checkStore({ store, model })
      checkContextSize(store, contextSize)
    }
    const perCall = contextsPerCall(contextSize)
    return await withLanes({ threads: context.threads }, async lanes => {
      const forward = await compileForward({
        model,
        lanes,
        contextsPerCall: perCall,
        contextSize,
        captures: hooks,
      })
      try {
        const splits = stores.map(store => store.split('train'))
        const result = await trainSaes({
          lanes,
          forward,
          contextsPerCall: perCall,
          source: shuffledContexts({ splits, contextSize, seed, weights: spec.datasetWeights }),
          members,
          settings: {
            ...givenRun(hyperparameters.run),
            trainTokens: hyperparameters.train_tokens,
            batchSize: hyperparameters.batch_size,
            seed,
            ...(spec.checkpointEverySteps !== undefined && {
              checkpointEverySteps: spec.checkpointEverySteps,
            }),
          },
          modelName,
          datasets: datasetNames,
          out: join(out, 'run'),
          resume: true,
          stopped: context.signal.stopped,
          onEvent: reporter(spec, context),
        })
        return {
          kind: 'train',
          status: result.status === 'completed' ? 'completed' : 'stopped',
          step: result.step,
          totalSteps: Math.ceil(hyperparameters.train_tokens / hyperparameters.batch_size),
          tokens: result.tokens,
        }
      } finally {
        await forward.close()
      }
    })
  } finally {
    for (const store of stores) store.close()
  }
}

function checkContextSize(store: TokenStore, contextSize: number): void {
  if (store.contextSize === contextSize) return
  throw new InputError({
    message: 'the dataset is cut into contexts of another length',
    file: join(store.dir, 'store.json'),
    field: 'context_size',
    found: String(store.contextSize),
    expected: `${contextSize}, as in the training's hyperparameters`,
  })
}

/** The engine tells of every second or longer, and each event's means are of the stretch since the one before. */
function reporter(
  { trainingId, members }: TrainSpec,
  { emit }: RunnerContext,
): (event: TrainProgress) => void {
  return ({ event, status: _, saes, memory_bytes: _memory, outlier_tokens: _outliers, ...measured }) => {
    const progress = measured.step / measured.total_steps
    const reported = saes.map((sae, i) => memberOf(members[i], sae))
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

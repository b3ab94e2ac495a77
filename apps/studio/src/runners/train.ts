// Train: SAEs of all hook points from one pass of the model over the training documents of all datasets.
import { join } from 'node:path'
import { parseHookPoint, type TrainingMember } from '@mistudio/contract'
import { openTokenStore, type TokenStore } from '@mistudio/corpus'
import { checkStore, compileForward, contextsPerCall, openModel } from '@mistudio/model'
import {
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
  const { seed, context_size: contextSize, settings: shared } = hyperparameters
  const topk = members.map(topkMember)
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
        captures: [...new Set(topk.map(({ hook }) => hook))],
      })
      try {
        const splits = stores.map(store => store.split('train'))
        const result = await trainSaes({
          lanes,
          forward,
          contextsPerCall: perCall,
          source: shuffledContexts({ splits, contextSize, seed }),
          members: topk,
          settings: {
            trainTokens: hyperparameters.train_tokens,
            batchSize: hyperparameters.batch_size,
            seed,
            normalisation: shared.normalisation === 'expected_average' ? 'expected_average' : 'none',
            checkpointEverySteps: spec.checkpointEverySteps,
            ...(typeof shared.learning_rate === 'number' && { learningRate: shared.learning_rate }),
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
          status: result.status,
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

/** What the trainer of before understands. */
function topkMember({ name, family, inputs, dSae, settings }: RunMember) {
  const { k } = settings
  if (family === 'topk') {
    return { name, hook: inputs[0], dSae, config: { k: typeof k === 'number' ? k : 32 } }
  }
  throw new InputError({
    message: 'this family cannot be trained here yet',
    field: 'family',
    found: family,
    expected: 'topk',
  })
}

/** The engine tells of every second or longer, and each event's means are of the stretch since the one before. */
function reporter(
  { trainingId, members }: TrainSpec,
  { emit }: RunnerContext,
): (event: TrainProgress) => void {
  return ({ event, status, saes, ...measured }) => {
    const progress = measured.step / measured.total_steps
    const reported = saes.map((sae, i) => memberOf(members[i], sae, { status, step: measured.step }))
    const data = { training_id: trainingId, ...measured, progress, saes: reported }
    // How it ended is the host's to say; the last figures are told as progress.
    emit({ event: 'training:progress', data })
    if (event === 'training:checkpoint') {
      emit({ event, data: { training_id: trainingId, step: measured.step } })
    }
  }
}

/** The engine's figures under the wire's names. A loss that is no number is not shown as one. */
function memberOf(
  member: RunMember,
  { name, dead_latents, ...figures }: MemberProgress,
  at: { status: TrainingMember['status']; step: number },
): TrainingMember {
  const measured = Object.fromEntries(
    Object.entries(figures).map(([key, value]) => [key, finite(value)]),
  ) as typeof figures
  const [hook] = member.inputs
  const place = parseHookPoint(hook)
  return {
    name,
    family: member.family,
    variant: structuredClone(member.variant) as TrainingMember['variant'],
    hook_point: hook,
    inputs: [...member.inputs],
    outputs: [...member.inputs],
    layer: place?.layer ?? null,
    hook_type: place?.hookType ?? null,
    d_sae: member.dSae,
    ...at,
    error_message: null,
    loss: measured.loss,
    fvu: measured.fvu,
    l0: measured.l0,
    dead_latents,
    grad_norm: measured.grad_norm,
    metrics: { ...measured, dead_latents },
    l0_histogram: null,
    density_histogram: null,
    warnings: [],
  }
}

const finite = (value: number | null) => (value !== null && Number.isFinite(value) ? value : null)

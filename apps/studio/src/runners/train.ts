// Train: SAEs of all hook points from one pass of the model over the training documents of all datasets.
import { join } from 'node:path'
import { hookPointOf, parseHookPoint, type TrainingMember } from '@mistudio/contract'
import { openTokenStore, type TokenStore } from '@mistudio/corpus'
import { checkStore, compileForward, contextsPerCall, openModel } from '@mistudio/model'
import { type MemberProgress, shuffledContexts, type TrainProgress, trainSaes } from '@mistudio/sae'
import { InputError, withLanes } from '@mistudio/tensor'
import type { RunnerContext, Work } from './context.ts'
import type { TrainSpec } from './spec.ts'

export const train: Work<'train'> = async (spec, context) => {
  const { modelDir, modelName, cacheDir, hookPoints, datasetNames, hyperparameters, out } = spec
  const { d_sae, k, seed, context_size: contextSize } = hyperparameters
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
        captures: hookPoints,
      })
      try {
        const splits = stores.map(store => store.split('train'))
        const result = await trainSaes({
          lanes,
          forward,
          contextsPerCall: perCall,
          source: shuffledContexts({ splits, contextSize, seed }),
          members: hookPoints.map(hook => ({ name: hook, hook, dSae: d_sae, config: { k } })),
          settings: {
            trainTokens: hyperparameters.train_tokens,
            batchSize: hyperparameters.batch_size,
            seed,
            normalisation: hyperparameters.normalisation,
            checkpointEverySteps: spec.checkpointEverySteps,
            ...(hyperparameters.learning_rate !== null && { learningRate: hyperparameters.learning_rate }),
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

/** The engine tells of every second or longer, and each event's means are of the stretch since the one before. */
function reporter({ trainingId }: TrainSpec, { emit }: RunnerContext): (event: TrainProgress) => void {
  return ({ event, status: _, saes, ...measured }) => {
    const progress = measured.step / measured.total_steps
    const data = { training_id: trainingId, ...measured, progress, saes: saes.map(memberOf) }
    // How it ended is the host's to say; the last figures are told as progress.
    emit({ event: 'training:progress', data })
    if (event === 'training:checkpoint') {
      emit({ event, data: { training_id: trainingId, step: measured.step } })
    }
  }
}

/** The engine's figures under the wire's names. A loss that is no number is not shown as one. */
function memberOf({ name, loss, fvu, l0, dead_latents, grad_norm }: MemberProgress): TrainingMember {
  const place = parseHookPoint(name)
  if (place === undefined) throw new Error(`${name} is no hook point of a block`)
  return {
    hook_point: hookPointOf(place),
    layer: place.layer,
    hook_type: place.hookType,
    loss: finite(loss),
    fvu: finite(fvu),
    l0: finite(l0),
    dead_latents,
    grad_norm: finite(grad_norm),
  }
}

const finite = (value: number | null) => (value !== null && Number.isFinite(value) ? value : null)

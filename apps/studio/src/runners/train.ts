// Train: SAEs of all hook points from one pass of the model over the training documents of all datasets.
import { join } from 'node:path'
import { hookPointOf, parseHookPoint, type TrainingMember } from '@mistudio/contract'
import { openTokenStore, type TokenStore } from '@mistudio/corpus'
import { checkStore, compileForward, contextsPerCall, openModel } from '@mistudio/model'
import { type MemberProgress, shuffledContexts, type TrainProgress, trainSaes } from '@mistudio/sae'
import { withLanes } from '@mistudio/tensor'
import { type RunnerContext, throttle, type Work } from './context.ts'
import type { TrainSpec } from './spec.ts'

/** Seconds between progress events at most often; each is a point of the charts. */
const progressSeconds = 1

export const train: Work<'train'> = async (spec, context) => {
  const { modelDir, modelName, cacheDir, hookPoints, datasetNames, hyperparameters, out } = spec
  const { d_sae, k, seed, context_size: contextSize } = hyperparameters
  const model = await openModel({ dir: modelDir, cacheDir })
  const stores: TokenStore[] = []
  try {
    for (const dir of spec.stores) stores.push(openTokenStore({ dir }))
    for (const store of stores) checkStore({ store, model })
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

function reporter({ trainingId }: TrainSpec, { emit }: RunnerContext): (event: TrainProgress) => void {
  const due = throttle(progressSeconds)
  return ({ event, status: _, saes, ...measured }) => {
    const data = {
      training_id: trainingId,
      ...measured,
      progress: measured.total_steps === 0 ? 1 : measured.step / measured.total_steps,
      saes: saes.map(memberOf),
    }
    if (event === 'training:checkpoint') {
      emit({ event, data: { training_id: trainingId, step: measured.step } })
    } else if (due(event !== 'training:progress')) {
      // How it ended is the host's to say; the last figures are told as progress.
      emit({ event: 'training:progress', data })
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

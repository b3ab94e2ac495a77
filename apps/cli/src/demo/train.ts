// The demo's training: four SAEs from one pass of the model. A finished one is not done again, a stopped one goes on.
import { join } from 'node:path'
import { compileForward, contextsPerCall } from '@mistudio/model'
import { membersOf, shuffledContexts, trainSaes } from '@mistudio/sae'
import { showTraining } from '../commands/shared/trained.ts'
import { recipe } from './recipe.ts'
import { checkStop, type Stage, Stopped } from './stage.ts'

/** @returns tokens each SAE was trained on */
export async function train({ dir, spec, lanes, model, stores, context }: Stage): Promise<number> {
  checkStop(context)
  const { contextSize, hooks, dSae, member, settings } = recipe
  const perCall = contextsPerCall(contextSize)
  const forward = await compileForward({
    model,
    lanes,
    contextsPerCall: perCall,
    contextSize,
    captures: hooks,
  })
  try {
    const result = await trainSaes({
      lanes,
      forward,
      contextsPerCall: perCall,
      source: shuffledContexts({
        splits: stores.map(store => store.split('train')),
        contextSize,
        seed: spec.seed,
      }),
      members: membersOf({ family: 'topk', inputs: hooks, dSae, settings: member }),
      settings: { ...settings, seed: spec.seed },
      modelName: 'mistudio-demo',
      datasets: [...recipe.datasets],
      out: join(dir, 'training'),
      resume: true,
      stopped: context.signal.stopped,
      onEvent: event => showTraining(event, context),
    })
    if (result.status === 'stopped') throw new Stopped()
    return result.tokens
  } finally {
    await forward.close()
  }
}

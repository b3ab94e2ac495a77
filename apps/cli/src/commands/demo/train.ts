// The demo's training: four SAEs from one pass of the model. A finished one is not done again, a stopped one goes on.
import { join } from 'node:path'
import { withCapture } from '@mistudio/capture'
import { membersOf, trainSaes } from '@mistudio/training'
import { showTraining } from '../shared/trained.ts'
import { recipe } from './recipe.ts'
import { checkStop, type Stage, Stopped } from './stage.ts'

/** @returns tokens each SAE was trained on */
export async function train({ dir, spec, pool, place, context }: Stage): Promise<number> {
  checkStop(context)
  const { hooks, dSae, member, settings } = recipe
  const { seed } = spec
  const texts = { stores: place.stores, seed }
  return await withCapture({ pool, ...place, hooks, texts }, async ({ activations }) => {
    const result = await trainSaes({
      pool,
      activations,
      members: membersOf({ family: 'topk', inputs: hooks, dSae, settings: member }),
      settings: { ...settings, seed },
      modelName: 'mistudio-demo',
      datasets: [...recipe.datasets],
      out: join(dir, 'training'),
      resume: true,
      stopped: context.signal.stopped,
      onEvent: event => showTraining(event, context),
    })
    if (result.status === 'stopped') throw new Stopped()
    return result.tokens
  })
}

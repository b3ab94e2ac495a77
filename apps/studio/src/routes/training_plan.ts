// A request for a training becomes a row and its jobs: the tokenizations that are missing, then the training itself.
import {
  channelOf,
  type HookType,
  hookPointOf,
  type TrainingMember,
  type TrainingRequest,
} from '@mistudio/contract'
import { jobs, type models, trainings } from '../db/schema.ts'
import { newId } from '../ids.ts'
import { jobEvent, newJob } from '../jobs/plan.ts'
import { ProblemError } from '../problem.ts'
import { changed, inSequence } from './changes.ts'
import type { Services } from './services.ts'
import { checkContextSize, ensureTokenizations, lockTexts } from './tokenizations.ts'

/** @returns the training's id */
export async function createTraining(services: Services, request: TrainingRequest): Promise<string> {
  const { layers, hook_types, hyperparameters } = request
  const { dataset_ids: datasetIds = [request.dataset_id!] } = request
  const field = request.dataset_ids === undefined ? 'dataset_id' : 'dataset_ids'
  const id = newId('training')
  const entity = channelOf.training(id)
  await services.log.write(async tx => {
    const { texts, model } = await lockTexts(tx, { datasetIds, modelId: request.model_id, field })
    checkHooks({ layers, hookTypes: hook_types, model })
    const contextSize = hyperparameters.context_size
    checkContextSize({ size: contextSize, model, field: 'hyperparameters.context_size' })
    const { needs, events } = await ensureTokenizations(tx, { texts, model, contextSizes: [contextSize] })
    const name = request.name ?? nameOf({ model: model.name, layers, hookTypes: hook_types })
    const job = newJob({ kind: 'train', entity, title: `Train ${name}`, needs: needs.get(contextSize) })
    await tx.insert(trainings).values({
      id,
      name,
      model_id: model.id,
      dataset_ids: datasetIds,
      layers,
      hook_types,
      hyperparameters,
      status: 'pending',
      saes: layers.flatMap(layer => hook_types.map(hookType => unmeasured(layer, hookType))),
      job_id: job.id,
    })
    await tx.insert(jobs).values(inSequence([job]))
    const data = { training_id: id, status: 'pending', error_message: null } as const
    return [
      ...events,
      { channel: entity, event: 'training:status', data },
      jobEvent(job),
      changed(entity, 'created'),
    ]
  })
  services.host.wake()
  return id
}

const unmeasured = (layer: number, hookType: HookType): TrainingMember => ({
  hook_point: hookPointOf({ layer, hookType }),
  layer,
  hook_type: hookType,
  loss: null,
  fvu: null,
  l0: null,
  dead_latents: null,
  grad_norm: null,
})

function nameOf(options: { model: string; layers: number[]; hookTypes: HookType[] }): string {
  const { model, layers, hookTypes } = options
  const where = `layer${layers.length > 1 ? 's' : ''} ${layers.join(', ')} · ${hookTypes.join(', ')}`
  return `${model} · ${where}`.slice(0, 200).trim()
}

function checkHooks(options: {
  layers: number[]
  hookTypes: HookType[]
  model: typeof models.$inferSelect
}): void {
  const { layers, hookTypes, model } = options
  const refuse = (field: string, found: unknown, expected: string) =>
    new ProblemError('invalid', { title: `${field} cannot be used`, field, found: String(found), expected })
  for (const [field, values] of [
    ['layers', layers],
    ['hook_types', hookTypes],
  ] as const) {
    const twice = values.find((value, i) => values.some((other, j) => other === value && j < i))
    if (twice !== undefined) throw refuse(field, `${twice} twice`, 'each once')
  }
  const beyond = layers.find(layer => layer >= model.layers)
  if (beyond !== undefined) throw refuse('layers', beyond, `0 to ${model.layers - 1} for ${model.name}`)
  const unknown = hookTypes.find(type => !model.hook_types.includes(type))
  if (unknown !== undefined) throw refuse('hook_types', unknown, model.hook_types.join(', '))
}

// A request for a training becomes a row and its jobs: the tokenizations that are missing, then the training itself.
import { channelOf, type TrainingRequest } from '@mistudio/contract'
import { jobs, trainings } from '../../db/schema.ts'
import { newId } from '../../ids.ts'
import { changed, inSequence } from '../changes.ts'
import { jobEvent, newJob } from '../jobs/job.ts'
import type { Services } from '../services.ts'
import { ensureTokenizations } from '../tokenizations/ensure.ts'
import { checkContextSize, lockTexts } from '../tokenizations/texts.ts'
import { refuseUnfit } from './advice.ts'
import { checkHooks } from './checks.ts'
import { type Asked, planMembers, resolveHyperparameters, unmeasuredMember } from './members.ts'

/** @returns the training's id */
export async function createTraining(services: Services, request: TrainingRequest): Promise<string> {
  const { layers, hook_types, output_hook_type, sweep, dataset_weights } = request
  const hyperparameters = resolveHyperparameters(request.hyperparameters)
  const asked = { layers, hook_types, output_hook_type, hyperparameters, sweep }
  const { dataset_ids: datasetIds = [request.dataset_id!] } = request
  const field = request.dataset_ids === undefined ? 'dataset_id' : 'dataset_ids'
  await refuseUnfit(services, request)
  const id = newId('training')
  const entity = channelOf.training(id)
  await services.log.write(async tx => {
    const { texts, model } = await lockTexts(tx, { datasetIds, modelId: request.model_id, field })
    checkHooks({ layers, hookTypes: hook_types, outputHookType: output_hook_type, model })
    const members = planMembers({ asked, widthOf: () => model.d_model })
    const contextSize = hyperparameters.context_size
    checkContextSize({ size: contextSize, model, field: 'hyperparameters.context_size' })
    const { needs, events } = await ensureTokenizations(tx, { texts, model, contextSizes: [contextSize] })
    const name = request.name ?? nameOf({ model: model.name, asked })
    const job = newJob({ kind: 'train', entity, title: `Train ${name}`, needs: needs.get(contextSize) })
    await tx.insert(trainings).values({
      id,
      name,
      model_id: model.id,
      dataset_ids: datasetIds,
      layers,
      hook_types,
      output_hook_type,
      dataset_weights,
      hyperparameters,
      sweep,
      status: 'pending',
      saes: members.map(unmeasuredMember),
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

function nameOf(options: { model: string; asked: Asked }): string {
  const { model, asked } = options
  const { layers, hook_types, output_hook_type, hyperparameters, sweep } = asked
  const to = output_hook_type === null ? '' : ` → ${output_hook_type}`
  const where = `layer${layers.length > 1 ? 's' : ''} ${layers.join(', ')} · ${hook_types.join(', ')}${to}`
  const family = hyperparameters.family === 'topk' ? [] : [hyperparameters.family]
  const swept = Object.entries(sweep).map(([key, values]) => `${values.length} × ${key}`)
  return [model, ...family, where, ...swept].join(' · ').slice(0, 200).trim()
}

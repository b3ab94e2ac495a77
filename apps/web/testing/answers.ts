// The routes of the test server, over the data in world.ts.
import {
  type ExtractionConfig,
  type ExtractionRequest,
  extractionTemplateName,
  type Problem,
  type RequestOf,
  type Template,
} from '@mistudio/contract'
import { familyViews, metricViews, recipeViews } from '@mistudio/studio/families'
import { formatViews } from '@mistudio/studio/formats'
import { detailOf, features } from './features.ts'
import { jobs, templates } from './jobs.ts'
import * as world from './world.ts'

/** The engine's own tables: nothing here knows a family either. */
const data: Record<string, unknown> = {
  '/families': familyViews(),
  '/formats': formatViews(),
  '/recipes': { data: recipeViews() },
  '/metrics': { data: metricViews() },
}

type Request = { method: string; path: string; query: Record<string, string>; body: unknown }
type TrainingAdvice = RequestOf<'adviseTraining'>['body']
type Answer = { status: number; body?: unknown }

const collections: Record<string, { id: string }[]> = {
  datasets: world.datasets,
  tokenizations: world.tokenizations,
  models: world.models,
  trainings: world.trainings,
  saes: world.saes,
  extractions: world.extractions,
  'templates/extraction': templates,
  jobs: jobs,
}

export function entityOf(channel: string): unknown {
  const [entity, id] = channel.split('/')
  if (channel === 'jobs/all') return { data: activeJobs() }
  return collections[`${entity}s`]?.find(item => item.id === id)
}

const activeJobs = () =>
  jobs.filter(({ status }) => status === 'running' || status === 'queued' || status === 'paused')

const refuse = (status: number, problem: Omit<Problem, 'status'>): Answer => ({
  status,
  body: { status, ...problem },
})

function page<T>(all: readonly T[], query: Record<string, string>): Answer {
  const limit = Number(query.limit ?? 50)
  const offset = Number(query.offset ?? 0)
  const data = all.slice(offset, offset + limit)
  const pagination = { limit, offset, total: all.length, has_more: offset + limit < all.length }
  return { status: 200, body: { data, pagination } }
}

export function answer(request: Request): Answer {
  const { method, path, query } = request
  if (method === 'POST') return post(request)
  if (method === 'DELETE') {
    return refuse(409, {
      type: 'conflict',
      title: 'it is in use',
      field: 'id',
      found: path,
      expected: 'one that is not in use',
    })
  }
  if (Object.hasOwn(data, path)) return { status: 200, body: data[path] }
  if (path === '/features') return page(featuresOf(query), query)
  if (path === '/jobs') return page(activeJobs(), query)
  if (path === '/saes') {
    const search = (query.search ?? '').toLowerCase()
    return page(
      world.saes.filter(({ name }) => name.toLowerCase().includes(search)),
      query,
    )
  }
  if (path === '/extractions') {
    const { batch_id } = query
    return page(
      world.extractions.filter(item => batch_id === undefined || item.batch_id === batch_id),
      query,
    )
  }
  const list = collections[path.slice(1)]
  if (list !== undefined) return page(list, query)
  const [, collection, id, rest] = path.split('/')
  if (collection === 'features') {
    const feature = features.find(item => item.id === id)
    if (feature !== undefined) return { status: 200, body: detailOf(feature) }
  }
  if (collection === 'trainings' && rest === 'checkpoints') {
    return { status: 200, body: { data: world.checkpointsOf(id) } }
  }
  if (collection === 'trainings' && rest === 'saes') return { status: 200, body: { data: available(id) } }
  const found = collections[collection]?.find(item => item.id === id)
  if (found !== undefined) return { status: 200, body: found }
  return refuse(404, {
    type: 'not_found',
    title: `there is no such ${collection.replace(/s$/, '')}`,
    field: 'id',
    found: id,
  })
}

function available(trainingId: string) {
  const training = world.trainings.find(({ id }) => id === trainingId)
  return (training?.saes ?? []).map(({ name, hook_point, layer, hook_type }) => ({
    member: name,
    checkpoint: null,
    hook_point,
    layer,
    hook_type,
    architecture: 'topk',
    d_in: 256,
    d_sae: 4096,
    k: 32,
    imported_sae_id:
      world.saes.find(sae => sae.training_id === trainingId && sae.hook_point === hook_point)?.id ?? null,
  }))
}

function featuresOf(query: Record<string, string>) {
  const by = (query.sort_by ?? 'readability') as 'readability' | 'density' | 'max' | 'mean' | 'feature'
  const sign = query.sort_order === 'asc' ? 1 : -1
  const search = query.search?.toLowerCase()
  return features
    .filter(({ extraction_id }) => extraction_id === query.extraction_id)
    .filter(({ density }) => (density ?? 0) >= Number(query.min_density ?? 0))
    .filter(
      ({ peak_tokens, feature }) =>
        search === undefined ||
        String(feature) === search ||
        peak_tokens.some(token => token.toLowerCase().includes(search)),
    )
    .sort((a, b) => sign * ((a[by] ?? 0) - (b[by] ?? 0)) || a.feature - b.feature)
}

function post({ path, body }: Request): Answer {
  if (path === '/datasets') {
    return refuse(400, {
      type: 'invalid',
      title: 'a line is not a JSON object',
      file: 'notes.jsonl',
      line: 3,
      field: 'text',
      found: '{"txt": "In the beginning"}',
      expected: 'an object with the field text',
    })
  }
  if (path === '/trainings/advice') return { status: 200, body: world.adviceFor(body as TrainingAdvice) }
  if (path === '/trainings') {
    return refuse(400, {
      type: 'invalid',
      title: 'more latents are kept than there are',
      field: 'hyperparameters.settings.k and hyperparameters.d_sae',
      found: '8192',
      expected: 'at most 4096',
    })
  }
  if (path === '/templates/extraction') {
    const { name, config, extra_metadata } = body as Partial<Template> & { config: ExtractionConfig }
    const template: Template = {
      ...templates[0],
      id: world.idOf('template', templates.length + 1),
      name: name ?? extractionTemplateName(config),
      config,
      extra_metadata: extra_metadata ?? {},
    }
    templates.unshift(template)
    return { status: 201, body: template }
  }
  if (path === '/extractions') return start(body as ExtractionRequest)
  return refuse(409, {
    type: 'illegal_state',
    title: 'the test server changes nothing',
    field: 'status',
    found: 'running',
    expected: 'a real studio',
  })
}

function start({ sae_id, sae_ids = [], dataset_ids, config }: ExtractionRequest): Answer {
  const ids = sae_id === undefined ? sae_ids : [sae_id]
  const chosen = world.saes.filter(({ id }) => ids.includes(id))
  const able = chosen.filter(({ source }) => source === 'training')
  const batch = world.idOf('batch', 7)
  const created = able.map((sae, i) =>
    world.extraction({
      number: 50 + i,
      sae,
      datasetIds: dataset_ids,
      config,
      ...(sae_id === undefined && { batch: { id: batch, position: i + 1, total: able.length } }),
    }),
  )
  const skipped = chosen
    .filter(sae => !able.includes(sae))
    .map(({ id, name }) => ({
      sae_id: id,
      sae_name: name,
      reason: 'its width is 768 and the model’s is 256',
    }))
  return { status: 201, body: { batch_id: sae_id === undefined ? batch : null, created, skipped } }
}

// The API as a table: the server registers it, the OpenAPI document and the typed client are derived from it.
import { z } from 'zod'
import { featureId, idOf, pageOf, paging } from './base.ts'
import { advice } from './entities/advice.ts'
import { dataset, datasetUpload, tokenization, tokenizationRequest } from './entities/dataset.ts'
import { extraction, extractionRequest, extractionsCreated } from './entities/extraction.ts'
import { families, metric, recipe } from './entities/family.ts'
import { feature, featureDetail, featureQuery } from './entities/feature.ts'
import { formats } from './entities/format.ts'
import { job } from './entities/job.ts'
import { model, modelRequest } from './entities/model.ts'
import { availableSae, sae, saeImport, saeImportResult } from './entities/sae.ts'
import { template, templateKinds, templateRequest } from './entities/template.ts'
import {
  checkpoint,
  training,
  trainingAdviceRequest,
  trainingFinalise,
  trainingRequest,
  trainingRetry,
  trainingStop,
} from './entities/training.ts'
import type { Route } from './route.ts'

const define = <const R extends Record<string, Route>>(routes: R) => routes

const byId = (kind: Parameters<typeof idOf>[0]) => z.strictObject({ id: idOf(kind) })
const kindParam = z.strictObject({ kind: z.enum(templateKinds) })

export const routes = define({
  listDatasets: {
    method: 'GET',
    path: '/datasets',
    summary: 'Datasets, newest first',
    query: paging,
    response: pageOf(dataset),
  },
  uploadDataset: {
    method: 'POST',
    path: '/datasets',
    summary: 'Upload a text file of a format in GET /formats',
    upload: datasetUpload,
    response: dataset,
    status: 201,
  },
  getDataset: {
    method: 'GET',
    path: '/datasets/{id}',
    summary: 'A dataset',
    params: byId('dataset'),
    response: dataset,
  },
  deleteDataset: {
    method: 'DELETE',
    path: '/datasets/{id}',
    summary: 'Delete a dataset that nothing uses',
    params: byId('dataset'),
  },

  listTokenizations: {
    method: 'GET',
    path: '/tokenizations',
    summary: 'Tokenizations, newest first',
    query: paging.extend({ dataset_id: idOf('dataset').optional(), model_id: idOf('model').optional() }),
    response: pageOf(tokenization),
  },
  createTokenization: {
    method: 'POST',
    path: '/tokenizations',
    summary: 'Tokenize a dataset for a model; returns the existing one if there is one',
    body: tokenizationRequest,
    response: tokenization,
    status: 201,
  },
  getTokenization: {
    method: 'GET',
    path: '/tokenizations/{id}',
    summary: 'A tokenization',
    params: byId('tokenization'),
    response: tokenization,
  },
  cancelTokenization: {
    method: 'POST',
    path: '/tokenizations/{id}/cancel',
    summary: 'Cancel a tokenization',
    params: byId('tokenization'),
    response: tokenization,
  },

  listModels: { method: 'GET', path: '/models', summary: 'Models', query: paging, response: pageOf(model) },
  createModel: {
    method: 'POST',
    path: '/models',
    summary: 'Add a model from a local folder',
    body: modelRequest,
    response: model,
    status: 201,
  },
  getModel: {
    method: 'GET',
    path: '/models/{id}',
    summary: 'A model',
    params: byId('model'),
    response: model,
  },
  deleteModel: {
    method: 'DELETE',
    path: '/models/{id}',
    summary: 'Forget a model that nothing uses; its folder is kept',
    params: byId('model'),
  },

  listFormats: {
    method: 'GET',
    path: '/formats',
    summary: 'Formats of texts and of SAEs that this server reads',
    response: formats,
  },
  listFamilies: {
    method: 'GET',
    path: '/families',
    summary: 'Families of SAEs with all their settings, and the shared settings',
    response: families,
  },
  listRecipes: {
    method: 'GET',
    path: '/recipes',
    summary: 'Named configurations with their source',
    response: z.strictObject({ data: z.array(recipe) }),
  },
  listMetrics: {
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics of a training, with definitions',
    response: z.strictObject({ data: z.array(metric) }),
  },

  listTrainings: {
    method: 'GET',
    path: '/trainings',
    summary: 'Trainings, newest first',
    query: paging,
    response: pageOf(training),
  },
  createTraining: {
    method: 'POST',
    path: '/trainings',
    summary: 'Start a training: one SAE per choice of hook points and variant',
    body: trainingRequest,
    response: training,
    status: 201,
  },
  getTraining: {
    method: 'GET',
    path: '/trainings/{id}',
    summary: 'A training',
    params: byId('training'),
    response: training,
  },
  pauseTraining: {
    method: 'POST',
    path: '/trainings/{id}/pause',
    summary: 'Save a checkpoint and wait',
    params: byId('training'),
    response: training,
  },
  resumeTraining: {
    method: 'POST',
    path: '/trainings/{id}/resume',
    summary: 'Continue from the checkpoint',
    params: byId('training'),
    response: training,
  },
  stopTraining: {
    method: 'POST',
    path: '/trainings/{id}/stop',
    summary: 'End early, with or without keeping the SAEs',
    params: byId('training'),
    body: trainingStop,
    response: training,
  },
  adviseTraining: {
    method: 'POST',
    path: '/trainings/advice',
    summary: 'Memory, disk and time a training would need here, and which of its settings look wrong',
    body: trainingAdviceRequest,
    response: advice,
  },
  listCheckpoints: {
    method: 'GET',
    path: '/trainings/{id}/checkpoints',
    summary: 'Checkpoints of a training with their sizes, newest first',
    params: byId('training'),
    response: z.strictObject({ data: z.array(checkpoint) }),
  },
  finaliseTraining: {
    method: 'POST',
    path: '/trainings/{id}/finalise',
    summary: 'Stop and make SAEs from the current state, or from a checkpoint',
    params: byId('training'),
    body: trainingFinalise,
    response: training,
  },
  retryTraining: {
    method: 'POST',
    path: '/trainings/{id}/retry',
    summary: 'Train one SAE of an ended training again',
    params: byId('training'),
    body: trainingRetry,
    response: training,
  },
  deleteTraining: {
    method: 'DELETE',
    path: '/trainings/{id}',
    summary: 'Delete an ended training whose SAEs are not imported',
    params: byId('training'),
  },
  listTrainingSaes: {
    method: 'GET',
    path: '/trainings/{id}/saes',
    summary: 'SAEs of a training, marking those already imported',
    params: byId('training'),
    response: z.strictObject({ data: z.array(availableSae) }),
  },

  listSaes: {
    method: 'GET',
    path: '/saes',
    summary: 'SAEs, newest first',
    query: paging.extend({
      training_id: idOf('training').optional(),
      search: z.string().max(200).optional(),
    }),
    response: pageOf(sae),
  },
  importSaes: {
    method: 'POST',
    path: '/saes/import',
    summary: 'Import all or some SAEs of a training, or one from a folder',
    body: saeImport,
    response: saeImportResult,
    status: 201,
  },
  getSae: { method: 'GET', path: '/saes/{id}', summary: 'An SAE', params: byId('sae'), response: sae },
  deleteSae: {
    method: 'DELETE',
    path: '/saes/{id}',
    summary: 'Forget an SAE that no extraction uses',
    params: byId('sae'),
  },

  listExtractions: {
    method: 'GET',
    path: '/extractions',
    summary: 'Extractions, newest first',
    query: paging.extend({ sae_id: idOf('sae').optional(), batch_id: idOf('batch').optional() }),
    response: pageOf(extraction),
  },
  createExtractions: {
    method: 'POST',
    path: '/extractions',
    summary: 'Start an extraction, or a batch of several SAEs',
    body: extractionRequest,
    response: extractionsCreated,
    status: 201,
  },
  getExtraction: {
    method: 'GET',
    path: '/extractions/{id}',
    summary: 'An extraction',
    params: byId('extraction'),
    response: extraction,
  },
  cancelExtraction: {
    method: 'POST',
    path: '/extractions/{id}/cancel',
    summary: 'Cancel an extraction, or its analysis once it is completed',
    params: byId('extraction'),
    response: extraction,
  },
  deleteExtraction: {
    method: 'DELETE',
    path: '/extractions/{id}',
    summary: 'Delete an ended extraction with its features',
    params: byId('extraction'),
  },

  listFeatures: {
    method: 'GET',
    path: '/features',
    summary: 'Features of an extraction: search, sort, filter',
    query: featureQuery,
    response: pageOf(feature),
  },
  getFeature: {
    method: 'GET',
    path: '/features/{id}',
    summary: 'A feature with its examples',
    params: z.strictObject({ id: featureId }),
    response: featureDetail,
  },

  listTemplates: {
    method: 'GET',
    path: '/templates/{kind}',
    summary: 'Templates of a kind',
    params: kindParam,
    query: paging,
    response: pageOf(template),
  },
  createTemplate: {
    method: 'POST',
    path: '/templates/{kind}',
    summary: 'Save a configuration as a template',
    params: kindParam,
    body: templateRequest,
    response: template,
    status: 201,
  },
  deleteTemplate: {
    method: 'DELETE',
    path: '/templates/{kind}/{id}',
    summary: 'Delete a template',
    params: kindParam.extend({ id: idOf('template') }),
  },

  listJobs: {
    method: 'GET',
    path: '/jobs',
    summary: 'Jobs, newest first',
    query: paging.extend({
      active: z.stringbool().optional().meta({ description: 'only those that have not ended' }),
    }),
    response: pageOf(job),
  },
  getJob: { method: 'GET', path: '/jobs/{id}', summary: 'A job', params: byId('job'), response: job },
})

export type Routes = typeof routes
export type RouteName = keyof Routes

type Part<R, K extends string> = R extends Record<K, infer T extends z.ZodType> ? T : undefined
type Given<T> = T extends z.ZodType ? z.input<T> : undefined
type Parsed<T> = T extends z.ZodType ? z.output<T> : undefined

/** What a caller passes: only the parts that a route has. */
export type RequestOf<N extends RouteName> = {
  [K in 'params' | 'query' | 'body' as Part<Routes[N], K> extends undefined ? never : K]: Given<
    Part<Routes[N], K>
  >
}
/** What a handler receives: parsed, with defaults filled in. */
export type ParsedRequest<N extends RouteName> = {
  params: Parsed<Part<Routes[N], 'params'>>
  query: Parsed<Part<Routes[N], 'query'>>
  body: Parsed<Part<Routes[N], 'body'>>
}
export type ResponseOf<N extends RouteName> =
  Part<Routes[N], 'response'> extends z.ZodType ? z.output<Part<Routes[N], 'response'>> : undefined

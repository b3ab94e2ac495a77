// The table of routes as HTTP: every route has a handler, what comes in and goes out is checked.
import { apiPrefix, createClient, type Route, type RouteName, routes } from '@mistudio/contract'
import { InputError } from '@mistudio/files'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Services } from '../domain/services.ts'
import { ProblemError } from '../problem.ts'
import { handlersOf } from './handlers.ts'
import { type Handlers, registerRoutes, sendProblem } from './register.ts'

const names = Object.keys(routes) as RouteName[]

test('every route of the table has a handler, and there is none beside them', () => {
  expect(Object.keys(handlersOf({} as Services)).sort()).toEqual([...names].sort())
})

let app: FastifyInstance
let url: string
let answer: (name: string, request: unknown) => unknown
beforeAll(async () => {
  app = Fastify()
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error))
  const handlers = Object.fromEntries(
    names.map(name => [name, async (request: object) => answer(name, request)]),
  ) as unknown as Handlers
  registerRoutes({ app, handlers, only: () => true })
  url = await app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(() => app.close())
beforeEach(() => {
  answer = () => undefined
})

const id = 'a'.repeat(20)

test.each(names)('%s is reached under its path and method', async name => {
  const route: Route = routes[name]
  let reached: string | undefined
  answer = called => {
    reached = called
    throw new ProblemError('conflict', { title: 'reached' })
  }
  const prefix = { tokenizations: 'tok', trainings: 'train', templates: 'tpl', jobs: 'job', features: 'feat' }
  const [, entity] = route.path.split('/')
  const short = { datasets: 'ds', models: 'm', saes: 'sae', extractions: 'extr', ...prefix }[entity]
  const path = route.path
    .replace('{kind}', 'extraction')
    .replace('{id}', `${short}_${id}${entity === 'features' ? '_1' : ''}`)
  const query = name === 'listFeatures' ? `?extraction_id=extr_${id}` : ''
  const training = {
    model_id: `m_${id}`,
    dataset_id: `ds_${id}`,
    layers: [0],
    hook_types: ['mlp_out'],
    hyperparameters: { d_sae: 8, k: 2, train_tokens: 1 },
  }
  const bodies: Partial<Record<RouteName, unknown>> = {
    createTokenization: { dataset_id: `ds_${id}`, model_id: `m_${id}` },
    createModel: { path: '/x' },
    createTraining: training,
    adviseTraining: training,
    finaliseTraining: {},
    retryTraining: { member: 'blocks.0.hook_mlp_out' },
    stopTraining: {},
    importSaes: { training_id: `train_${id}` },
    createExtractions: { sae_id: `sae_${id}`, dataset_ids: [`ds_${id}`] },
    createTemplate: { config: {} },
  }
  const response = await fetch(`${url}${apiPrefix}${path}${query}`, {
    method: route.method,
    ...(route.body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(bodies[name]),
    }),
  })
  expect(await response.json()).toEqual({ type: 'conflict', status: 409, title: 'reached' })
  expect(reached).toBe(name)
})

test('a handler gets what was parsed, defaults filled in', async () => {
  let got: unknown
  answer = (_, request) => {
    got = request
    return { data: [], pagination: { limit: 50, offset: 0, total: 0, has_more: false } }
  }
  await createClient({ baseUrl: url }).listJobs({ query: { active: 'true', offset: '3' } })
  expect(got).toMatchObject({ query: { active: true, limit: 50, offset: 3 } })
  expect(got).toMatchObject({ params: undefined, body: undefined })
})

const get = async (path = '/models') => {
  const response = await fetch(`${url}${apiPrefix}${path}`)
  return { status: response.status, type: response.headers.get('content-type'), body: await response.json() }
}

test('an answer that the contract does not know never leaves', async () => {
  answer = () => ({ data: [{ id: `m_${id}`, secret: 'path' }], pagination: {} })
  expect(await get()).toEqual({
    status: 500,
    type: 'application/problem+json; charset=utf-8',
    body: { type: 'internal', title: 'the server failed; its log says why', status: 500 },
  })
})

test.each<[string, () => never, number, object]>([
  [
    'bad input',
    () => {
      throw new InputError({ message: 'no', file: 'a', line: 3, field: 'b', found: 'c', expected: 'd' })
    },
    400,
    { type: 'invalid', title: 'no', status: 400, file: 'a', line: 3, field: 'b', found: 'c', expected: 'd' },
  ],
  [
    'a problem',
    () => {
      throw new ProblemError('not_found', { title: 'no', field: 'id', found: 'x' })
    },
    404,
    { type: 'not_found', title: 'no', status: 404, field: 'id', found: 'x' },
  ],
  [
    'anything else, without its insides',
    () => {
      throw new Error('select * from secrets failed')
    },
    500,
    { type: 'internal', title: 'the server failed; its log says why', status: 500 },
  ],
])('%s becomes a problem', async (_, fail, status, body) => {
  answer = fail
  expect(await get()).toEqual({ status, type: 'application/problem+json; charset=utf-8', body })
})

test('a body where none belongs is refused', async () => {
  const post = (body: object) =>
    fetch(`${url}${apiPrefix}/trainings/train_${id}/pause`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const response = await post({ force: true })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ field: 'force', expected: 'no body' })
  answer = () => {
    throw new ProblemError('conflict', { title: 'reached' })
  }
  expect((await post({})).status).toBe(409)
})

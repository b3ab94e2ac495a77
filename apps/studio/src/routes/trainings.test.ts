// Trainings over HTTP, on both databases.
import type { Dataset, Model, Training } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  addDemoModel,
  addText,
  problemOf,
  startTestServer,
  type TestServer,
  trainingBody,
  trainingHooks,
} from '../../testing/server.ts'
import { jobs, tokenizations } from '../db/schema.ts'

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  let model: Model
  let texts: Dataset[]
  beforeAll(async () => {
    server = await startTestServer(target)
    model = await addDemoModel(server)
    texts = [await addText(server, 'first'), await addText(server, 'second')]
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })
  // A training without a tokenization to wait for would have nothing to ask for.
  beforeEach(async () => {
    await server.services.db.delete(tokenizations)
  })

  const textIds = () => texts.map(({ id }) => id)
  const start = (changes: object = {}): Promise<Training> =>
    server.client.createTraining({ body: { ...trainingBody(model.id, textIds()), ...changes } })
  const jobOf = async (id: string) => (await server.services.db.select().from(jobs).where(eq(jobs.id, id)))[0]

  test('a training of two datasets, layers and hooks waits for the tokenizations it needs', async () => {
    const training = await start({ name: 'Mine' })
    expect(training).toMatchObject({
      name: 'Mine',
      model_name: 'mistudio-demo',
      dataset_ids: textIds(),
      dataset_names: ['first.jsonl', 'second.jsonl'],
      status: 'pending',
      // 1,500 tokens in batches of 1,024.
      total_tokens: 2048,
      total_steps: null,
      saes_available: false,
    })
    expect(training.saes.map(sae => sae.hook_point)).toEqual(trainingHooks)
    const job = await jobOf(training.job_id!)
    expect(job).toMatchObject({ kind: 'train', entity: `training/${training.id}`, title: 'Train Mine' })
    const tokenized = (await server.client.listTokenizations()).data
    expect(tokenized.map(({ dataset_id, context_size }) => [dataset_id, context_size]).sort()).toEqual(
      textIds()
        .map(id => [id, 64])
        .sort(),
    )
    expect(new Set(job.needs)).toEqual(new Set(tokenized.map(({ job_id }) => job_id)))
    // The second shares the first's tokenizations; one that is ready need not be waited for.
    const [ready] = tokenized
    await server.services.db
      .update(tokenizations)
      .set({ status: 'ready' })
      .where(eq(tokenizations.id, ready.id))
    const second = await start()
    expect(second.name).toBe('mistudio-demo · layers 0, 1 · resid_post, mlp_out')
    expect((await jobOf(second.job_id!)).needs).toEqual([tokenized[1].job_id])
    const { data } = await server.client.listTrainings()
    expect(data.map(({ id }) => id).slice(0, 2)).toEqual([second.id, training.id])
    const channel = `training/${training.id}`
    expect(await server.services.log.list({ channel, after: 0, limit: 9 })).toMatchObject([
      { seq: 1, event: 'training:status', data: { training_id: training.id, status: 'pending' } },
    ])
    const told = await server.services.log.list({ channel: 'jobs/all', after: 0, limit: 500 })
    expect(told).toContainEqual(
      expect.objectContaining({ event: 'entity:changed', data: { entity: channel, status: 'created' } }),
    )
  })

  test('the single dataset_id still works, and is stored as dataset_ids', async () => {
    const training = await start({ dataset_ids: undefined, dataset_id: texts[1].id })
    expect(training.dataset_ids).toEqual([texts[1].id])
  })

  test('many starts at once share the tokenizations, whatever the order of their datasets', async () => {
    const ids = textIds()
    const orders = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? ids : ids.toReversed()))
    const started = await Promise.all(orders.map(dataset_ids => start({ dataset_ids })))
    expect(started.map(({ dataset_ids }) => dataset_ids)).toEqual(orders)
    expect((await server.client.listTokenizations()).pagination.total).toBe(2)
  })

  const hyperparameters = trainingBody('', []).hyperparameters
  test.each<[string, object, object]>([
    [
      'a layer beyond the model',
      { layers: [2, 8] },
      { field: 'layers', found: '8', expected: '0 to 7 for mistudio-demo' },
    ],
    ['a layer twice', { layers: [2, 2] }, { field: 'layers', found: '2 twice' }],
    ['a hook type twice', { hook_types: ['mlp_out', 'mlp_out'] }, { field: 'hook_types' }],
    ['an unknown hook type', { hook_types: ['mlp'] }, { field: 'hook_types[0]', found: '"mlp"' }],
    ['no layers', { layers: [] }, { field: 'layers', found: '[]', expected: 'at least 1 items' }],
    [
      'neither dataset_ids nor dataset_id',
      { dataset_ids: undefined },
      { field: 'dataset_ids', found: 'nothing' },
    ],
    ['an unknown field', { lyers: [1] }, { field: 'lyers', title: 'there is no field lyers here' }],
    [
      'an unknown hyperparameter',
      { hyperparameters: { ...hyperparameters, l1: 3 } },
      { field: 'hyperparameters.l1', found: '3' },
    ],
    [
      'a number as text',
      { hyperparameters: { ...hyperparameters, d_sae: '8' } },
      { field: 'hyperparameters.d_sae', found: '"8"', expected: 'a number' },
    ],
    ['half a token', { hyperparameters: { ...hyperparameters, k: 1.5 } }, { expected: 'a whole number' }],
    [
      'k above d_sae',
      { hyperparameters: { ...hyperparameters, k: 9 } },
      { field: 'hyperparameters.k', found: '9' },
    ],
    [
      'a context beyond the model',
      { hyperparameters: { ...hyperparameters, context_size: 1024 } },
      { field: 'hyperparameters.context_size', found: '1024' },
    ],
    [
      'a name that cannot be stored',
      { name: 'a\0b' },
      { field: 'name', title: 'this text cannot be stored' },
    ],
    ['half a character', { name: '\ud83d' }, { field: 'name' }],
  ])('%s is refused, and nothing is made', async (_, changes, wanted) => {
    const before = (await server.client.listTrainings()).pagination.total
    expect(await problemOf(start(changes))).toMatchObject({ type: 'invalid', status: 400, ...wanted })
    expect((await server.client.listTrainings()).pagination.total).toBe(before)
    expect((await server.client.listTokenizations()).pagination.total).toBe(0)
  })

  test('a dataset twice and unknown ids are named', async () => {
    const twice = await problemOf(start({ dataset_ids: [texts[0].id, texts[0].id] }))
    expect(twice).toMatchObject({ status: 400, field: 'dataset_ids', found: texts[0].id })
    const unknown = `ds_${'0'.repeat(20)}`
    expect(await problemOf(start({ dataset_ids: [unknown] }))).toMatchObject({ status: 404, found: unknown })
    expect(await problemOf(start({ dataset_ids: undefined, dataset_id: unknown }))).toMatchObject({
      status: 404,
      field: 'dataset_id',
    })
    expect(await problemOf(start({ model_id: `m_${'0'.repeat(20)}` }))).toMatchObject({ field: 'model_id' })
    const gone = `train_${'0'.repeat(20)}`
    expect(await problemOf(server.client.pauseTraining({ params: { id: gone } }))).toMatchObject({
      status: 404,
    })
  })

  test('pause, resume and stop move the training; illegal moves answer 409 naming state and move', async () => {
    const { id } = await start()
    const params = { id }
    expect((await server.client.pauseTraining({ params })).status).toBe('paused')
    expect(await problemOf(server.client.pauseTraining({ params }))).toMatchObject({
      type: 'illegal_state',
      status: 409,
      title: 'a training that is paused cannot pause',
      found: 'paused',
    })
    expect((await server.client.resumeTraining({ params })).status).toBe('pending')
    expect(await problemOf(server.client.resumeTraining({ params }))).toMatchObject({ status: 409 })
    expect(await problemOf(server.client.deleteTraining({ params }))).toMatchObject({
      status: 409,
      title: 'a training that is pending cannot be deleted',
    })
    const stopped = await server.client.stopTraining({ params, body: { keep: false } })
    expect(stopped).toMatchObject({ status: 'cancelled', kept: false, saes_available: false })
    expect(await problemOf(server.client.stopTraining({ params, body: {} }))).toMatchObject({
      status: 409,
      found: 'cancelled',
    })
    expect(await problemOf(server.client.importSaes({ body: { training_id: id } }))).toMatchObject({
      status: 409,
      title: 'a training that is cancelled cannot give SAEs',
    })
    await server.client.deleteTraining({ params })
    expect(await problemOf(server.client.getTraining({ params }))).toMatchObject({ status: 404 })
    expect(await server.services.log.list({ channel: `training/${id}`, after: 0, limit: 9 })).toEqual([])
  })
})

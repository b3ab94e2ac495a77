// Models and tokenizations over HTTP, on both databases.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  addDemoModel,
  addText,
  otherModelFolder,
  problemOf,
  startTestServer,
  type TestServer,
  temporaryFolder,
  trainingBody,
} from '../../testing/server.ts'
import { jobs, tokenizations } from '../db/schema.ts'

const unknownDataset = `ds_${'0'.repeat(20)}`
const unknownModel = `m_${'0'.repeat(20)}`

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  const elsewhere = temporaryFolder()
  beforeAll(async () => {
    server = await startTestServer(target)
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })

  describe('models', () => {
    test('a folder is described by its files; the same folder is refused', async () => {
      const path = otherModelFolder(elsewhere, `tiny-${target.kind}`)
      const made = await server.client.createModel({ body: { path } })
      expect(made).toMatchObject({
        name: `tiny-${target.kind}`,
        source: 'local',
        path,
        architecture: 'llama',
        status: 'ready',
        hook_types: ['resid_pre', 'resid_mid', 'resid_post', 'attn_out', 'mlp_out'],
      })
      const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8'))
      expect(made).toMatchObject({ d_model: config.hidden_size, layers: config.num_hidden_layers })
      expect(made.params_count).toBeGreaterThan(1000)
      const twice = await Promise.all(
        [1, 2].map(() => problemOf(server.client.createModel({ body: { path } }))),
      )
      expect(twice.map(({ status }) => status)).toEqual([409, 409])
      await server.client.deleteModel({ params: { id: made.id } })
      expect(existsSync(join(path, 'config.json'))).toBe(true)
    })

    test('two additions of one folder at once make one model', async () => {
      const path = otherModelFolder(elsewhere, `twice-${target.kind}`)
      const outcomes = await Promise.allSettled(
        [1, 2].map(() => server.client.createModel({ body: { path } })),
      )
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      const { data } = await server.client.listModels()
      expect(data.filter(model => model.path === path)).toHaveLength(1)
      await server.client.deleteModel({ params: { id: data.find(model => model.path === path)!.id } })
    })

    test.each([
      ['a folder that is not there', () => join(elsewhere, 'nowhere'), /no config.json/],
      ['a folder without weights', () => withoutFile('model.safetensors'), /no weights/],
      ['a folder without a tokenizer', () => withoutFile('tokenizer.json'), /tokenizer/],
      ['a path out of the data folder', () => '../elsewhere', /out of the data folder/],
    ])('%s is refused', async (_, path, title) => {
      const problem = await problemOf(server.client.createModel({ body: { path: path() } }))
      expect(problem.status).toBe(400)
      expect(problem.title).toMatch(title)
    })

    function withoutFile(name: string): string {
      const folder = join(elsewhere, `without-${target.kind}-${name}`)
      mkdirSync(folder)
      const source = otherModelFolder(elsewhere, 'source')
      for (const file of ['config.json', 'model.safetensors', 'tokenizer.json']) {
        if (file !== name) writeFileSync(join(folder, file), readFileSync(join(source, file)))
      }
      return folder
    }
  })

  describe('tokenizations', () => {
    test('are made once, also by two requests at once, and again after they failed', async () => {
      const { db } = server.services
      const model = await addDemoModel(server)
      const text = await addText(server, 'Some text')
      const body = { dataset_id: text.id, model_id: model.id, context_size: 64 }
      const [first, second] = await Promise.all([1, 2].map(() => server.client.createTokenization({ body })))
      expect(second).toEqual(first)
      expect(first).toMatchObject({
        dataset_name: 'Some text.jsonl',
        model_name: 'mistudio-demo',
        status: 'queued',
        context_size: 64,
        splits: null,
      })
      const [job] = await db.select().from(jobs).where(eq(jobs.id, first.job_id!))
      expect(job).toMatchObject({
        kind: 'tokenize',
        entity: `tokenization/${first.id}`,
        title: 'Tokenize Some text.jsonl for mistudio-demo',
        status: 'queued',
      })
      const other = await server.client.createTokenization({ body: { ...body, context_size: 32 } })
      expect(other.id).not.toBe(first.id)
      await db.update(tokenizations).set({ status: 'failed' }).where(eq(tokenizations.id, first.id))
      const again = await server.client.createTokenization({ body })
      expect(again.id).not.toBe(first.id)
      const { data } = await server.client.listTokenizations({ query: { dataset_id: text.id } })
      expect(data.map(({ id }) => id)).toEqual([again.id, other.id, first.id])
      for (const { id } of [again, other]) {
        expect((await server.client.cancelTokenization({ params: { id } })).status).toBe('cancelled')
      }
      expect(await problemOf(server.client.cancelTokenization({ params: { id: again.id } }))).toMatchObject({
        type: 'illegal_state',
        status: 409,
        found: 'cancelled',
      })
      await server.client.deleteDataset({ params: { id: text.id } })
      expect((await server.client.listTokenizations()).pagination.total).toBe(0)
      await server.client.deleteModel({ params: { id: model.id } })
    })

    test('unknown ids answer 404 naming the field, a context beyond the model 400', async () => {
      const model = await addDemoModel(server)
      const text = await addText(server)
      const make = (body: object) => problemOf(server.client.createTokenization({ body: body as never }))
      const good = { dataset_id: text.id, model_id: model.id }
      expect(await make({ ...good, dataset_id: unknownDataset })).toMatchObject({
        status: 404,
        field: 'dataset_id',
        found: unknownDataset,
      })
      expect(await make({ ...good, model_id: unknownModel })).toMatchObject({
        status: 404,
        field: 'model_id',
      })
      expect(await make({ ...good, context_size: 513 })).toMatchObject({
        status: 400,
        field: 'context_size',
        found: '513',
        expected: 'at most 512 for mistudio-demo',
      })
      expect(await make({ ...good, model_id: text.id })).toMatchObject({
        status: 400,
        field: 'model_id',
        found: `"${text.id}"`,
        expected: 'an id like m_…',
      })
      await server.client.deleteDataset({ params: { id: text.id } })
      await server.client.deleteModel({ params: { id: model.id } })
    })

    test('what is in use is not deleted', async () => {
      const model = await addDemoModel(server)
      const [free, used] = [await addText(server, 'free'), await addText(server, 'used')]
      const body = { dataset_id: free.id, model_id: model.id, context_size: 32 }
      const running = await server.client.createTokenization({ body })
      const busy = await problemOf(server.client.deleteDataset({ params: { id: free.id } }))
      expect(busy).toMatchObject({
        type: 'conflict',
        status: 409,
        found: 'free.jsonl, used by a tokenization that runs',
      })
      await server.client.cancelTokenization({ params: { id: running.id } })
      await server.client.deleteDataset({ params: { id: free.id } })
      const training = await server.client.createTraining({ body: trainingBody(model.id, [used.id]) })
      const by = `used by the training ${training.name}`
      expect(await problemOf(server.client.deleteDataset({ params: { id: used.id } }))).toMatchObject({
        status: 409,
        found: `used.jsonl, ${by}`,
      })
      expect(await problemOf(server.client.deleteModel({ params: { id: model.id } }))).toMatchObject({
        status: 409,
        found: `mistudio-demo, ${by}`,
      })
    })
  })
})

// Extractions, their features, and templates over HTTP, on both databases.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Dataset, extractionConfig, type Model } from '@mistudio/contract'
import { asc, eq, inArray } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { writeSae } from '../../testing/artefacts.ts'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  addDemoModel,
  addText,
  otherModelFolder,
  problemOf,
  startTestServer,
  type TestServer,
  temporaryFolder,
} from '../../testing/server.ts'
import { extractions, jobs, saes } from '../db/schema.ts'

const unknownSae = `sae_${'0'.repeat(20)}`

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  let model: Model
  let text: Dataset
  let saeIds: string[]
  const elsewhere = temporaryFolder()
  const folder = (name: string) => join(elsewhere, `${target.kind}-${name}`)

  const addSae = async (name: string, modelId: string, dIn: number) => {
    const path = await writeSae({ dir: folder(name), hookPoint: 'blocks.0.hook_resid_post', dIn })
    const { imported } = await server.client.importSaes({ body: { path, model_id: modelId, name } })
    return imported[0].id
  }
  beforeAll(async () => {
    server = await startTestServer(target)
    model = await addDemoModel(server)
    text = await addText(server, 'Words')
    saeIds = []
    for (const name of ['a', 'b', 'c']) saeIds.push(await addSae(name, model.id, model.d_model))
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })
  beforeEach(async () => {
    await server.services.db.delete(extractions)
    await server.services.db.delete(jobs).where(inArray(jobs.kind, ['extract', 'nlp']))
  })

  const start = (body: object) =>
    server.client.createExtractions({ body: { dataset_ids: [text.id], ...body } })
  const jobsOf = async (kinds: ('extract' | 'nlp')[]) =>
    await server.services.db
      .select()
      .from(jobs)
      .where(inArray(jobs.kind, kinds))
      .orderBy(asc(jobs.created_at))

  test('one extraction: contexts as the SAE was trained on, an analysis after it, no batch', async () => {
    const { batch_id, created, skipped } = await start({ sae_id: saeIds[0], config: { max_tokens: 1000 } })
    expect([batch_id, skipped]).toEqual([null, []])
    expect(created).toMatchObject([
      {
        sae_name: 'a',
        model_name: 'mistudio-demo',
        hook_point: 'blocks.0.hook_resid_post',
        layer: 0,
        hook_type: 'resid_post',
        dataset_names: ['Words.jsonl'],
        config: { max_tokens: 1000, context_size: 64, examples_per_feature: 20 },
        status: 'queued',
        nlp_status: 'pending',
        stage: 'QUEUED',
        batch_id: null,
        batch_position: null,
        eta_seconds: null,
      },
    ])
    const [tokenization] = (await server.client.listTokenizations()).data
    expect(tokenization.context_size).toBe(64)
    const [extract, nlp] = await jobsOf(['extract', 'nlp'])
    expect(extract).toMatchObject({ kind: 'extract', needs: [tokenization.job_id], after: [] })
    expect(nlp).toMatchObject({ kind: 'nlp', entity: extract.entity, needs: [extract.id], after: [] })
    expect(extract.title).toBe('Extract features of a')
    const events = await server.services.log.list({ channel: extract.entity, after: 0, limit: 9 })
    expect(events).toMatchObject([
      {
        seq: 1,
        event: 'extraction:status',
        data: { status: 'queued', nlp_status: 'pending', stage: 'QUEUED' },
      },
    ])
  })

  test('a batch: positions, and each first job after the last job of the member before', async () => {
    const { batch_id, created } = await start({ sae_ids: saeIds })
    expect(batch_id).toMatch(/^batch_/)
    expect(created.map(({ sae_id }) => sae_id)).toEqual(saeIds)
    expect(created.map(one => [one.batch_id, one.batch_position, one.batch_total])).toEqual([
      [batch_id, 1, 3],
      [batch_id, 2, 3],
      [batch_id, 3, 3],
    ])
    const chain = await jobsOf(['extract', 'nlp'])
    expect(chain.map(({ kind }) => kind)).toEqual(['extract', 'nlp', 'extract', 'nlp', 'extract', 'nlp'])
    expect(chain.map(({ after }) => after)).toEqual([[], [], [chain[1].id], [], [chain[3].id], []])
    const listed = await server.client.listExtractions({ query: { batch_id: batch_id! } })
    expect(listed.data.map(one => one.batch_position)).toEqual([1, 2, 3])
  })

  test('without an analysis the next member comes after the extraction itself', async () => {
    const { created } = await start({ sae_ids: saeIds, config: { auto_nlp: false, context_size: 32 } })
    expect(created.map(one => [one.nlp_status, one.config.context_size])).toEqual([
      [null, 32],
      [null, 32],
      [null, 32],
    ])
    const chain = await jobsOf(['extract', 'nlp'])
    expect(chain.map(({ after }) => after)).toEqual([[], [chain[0].id], [chain[1].id]])
  })

  test('SAEs that cannot run are skipped with the reason, the others run', async () => {
    const { db, storage } = server.services
    const other = await server.client.createModel({
      body: { path: otherModelFolder(elsewhere, folder('m').slice(1)) },
    })
    const foreign = await addSae('foreign', other.id, other.d_model)
    const broken = await addSae('broken', model.id, model.d_model)
    rmSync(storage.resolve(`saes/${broken}`), { recursive: true })
    await start({ sae_id: saeIds[1] })
    const asked = [unknownSae, saeIds[0], foreign, saeIds[1], saeIds[0], broken, saeIds[2]]
    const { created, skipped } = await start({ sae_ids: asked })
    expect(created.map(one => [one.sae_id, one.batch_position, one.batch_total])).toEqual([
      [saeIds[0], 1, 2],
      [saeIds[2], 2, 2],
    ])
    expect(skipped.map(one => [one.sae_id, one.sae_name, one.reason])).toEqual([
      [unknownSae, null, 'there is no such SAE'],
      [foreign, 'foreign', `it belongs to the model ${other.name}, not to mistudio-demo as the first`],
      [saeIds[1], 'b', 'it has an extraction that is queued'],
      [saeIds[0], 'a', 'it is named twice'],
      [broken, 'broken', expect.stringContaining('its files cannot be used')],
    ])
    await db.delete(saes).where(inArray(saes.id, [foreign, broken]))
  })

  test('two starts of one SAE at once make one extraction', async () => {
    const outcomes = await Promise.allSettled([start({ sae_id: saeIds[0] }), start({ sae_ids: [saeIds[0]] })])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await server.services.db.$count(extractions)).toBe(1)
  })

  test('what cannot run at all is refused, and nothing is made', async () => {
    await start({ sae_id: saeIds[0] })
    expect(await problemOf(start({ sae_id: unknownSae }))).toMatchObject({ status: 404, field: 'sae_id' })
    expect(await problemOf(start({ sae_id: saeIds[0] }))).toMatchObject({
      status: 409,
      field: 'sae_id',
      found: 'a: it has an extraction that is queued',
    })
    expect(await problemOf(start({ sae_ids: [saeIds[0], unknownSae] }))).toMatchObject({ field: 'sae_ids' })
    expect(await problemOf(start({}))).toMatchObject({ status: 400, field: 'sae_ids' })
    const other = { sae_id: saeIds[1] }
    expect(await problemOf(start({ ...other, dataset_ids: [`ds_${'0'.repeat(20)}`] }))).toMatchObject({
      status: 404,
    })
    expect(await problemOf(start({ ...other, config: { context_size: 1024 } }))).toMatchObject({
      field: 'config.context_size',
    })
    expect(await problemOf(start({ ...other, config: { max_token: 1 } }))).toMatchObject({
      field: 'config.max_token',
    })
    expect(await server.services.db.$count(extractions)).toBe(1)
  })

  test('is cancelled while it waits, its analysis while that waits; deleted when all has ended', async () => {
    const { db } = server.services
    const { created } = await start({ sae_ids: saeIds })
    const params = { id: created[0].id }
    expect(await problemOf(server.client.deleteExtraction({ params }))).toMatchObject({
      status: 409,
      found: 'queued',
    })
    expect((await server.client.cancelExtraction({ params })).status).toBe('cancelled')
    expect(await problemOf(server.client.cancelExtraction({ params }))).toMatchObject({
      type: 'illegal_state',
      status: 409,
      title: 'an extraction that is cancelled cannot be cancelled',
    })
    const second = { id: created[1].id }
    await db.update(extractions).set({ status: 'completed' }).where(eq(extractions.id, second.id))
    await db.update(jobs).set({ status: 'completed' }).where(eq(jobs.id, created[1].job_id!))
    expect(await problemOf(server.client.deleteExtraction({ params: second }))).toMatchObject({
      found: 'completed with an analysis that is pending',
    })
    expect(await server.client.cancelExtraction({ params: second })).toMatchObject({
      status: 'completed',
      nlp_status: 'cancelled',
      stage: 'COMPLETED',
    })
    await server.client.deleteExtraction({ params: second })
    expect(await problemOf(server.client.getExtraction({ params: second }))).toMatchObject({ status: 404 })
    expect((await jobsOf(['extract', 'nlp'])).map(({ entity }) => entity)).not.toContain(
      `extraction/${second.id}`,
    )
  })

  test('templates: named by the configuration, listed, deleted; unknown kinds and fields refused', async () => {
    const config = extractionConfig.parse({ max_tokens: 2_500_000, auto_nlp: false })
    const params = { kind: 'extraction' as const }
    const body = { config, extra_metadata: { hook_types: ['mlp_out'], d_sae: 8 } }
    const made = await server.client.createTemplate({ params, body })
    expect(made).toMatchObject({
      name: '2.5M tokens, 20 examples, context 24+16, no NLP',
      description: '',
      ...body,
    })
    const named = await server.client.createTemplate({ params, body: { config, name: 'Mine' } })
    expect((await server.client.listTemplates({ params, query: {} })).data).toEqual([named, made])
    for (const { id } of [made, named]) await server.client.deleteTemplate({ params: { ...params, id } })
    expect(
      await problemOf(server.client.deleteTemplate({ params: { ...params, id: made.id } })),
    ).toMatchObject({
      status: 404,
    })
    const wrong = server.client.listTemplates({ params: { kind: 'training' as 'extraction' }, query: {} })
    expect(await problemOf(wrong)).toMatchObject({ status: 400, field: 'kind', expected: '"extraction"' })
    const nested = { config, extra_metadata: { deep: JSON.parse('['.repeat(100) + ']'.repeat(100)) } }
    expect(await problemOf(server.client.createTemplate({ params, body: nested }))).toMatchObject({
      status: 400,
      title: 'the request is nested too deeply',
    })
  })

  test('jobs: listed, those that have not ended alone, one by its id', async () => {
    const { created } = await start({ sae_id: saeIds[2] })
    const all = await server.client.listJobs()
    expect(all.data[0]).toMatchObject({
      kind: 'nlp',
      title: 'Analyse features of c',
      status: 'queued',
      attempt: 0,
    })
    const { id } = all.data[1]
    expect(id).toBe(created[0].job_id)
    await server.client.cancelExtraction({ params: { id: created[0].id } })
    const active = await server.client.listJobs({ query: { active: 'true' } })
    expect(active.data.map(job => job.id)).not.toContain(id)
    expect((await server.client.getJob({ params: { id } })).status).toBe('cancelled')
    expect(await problemOf(server.client.getJob({ params: { id: `job_${'0'.repeat(20)}` } }))).toMatchObject({
      status: 404,
    })
  })
})

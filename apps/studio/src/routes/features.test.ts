// Features over HTTP, on both databases: lists from rows, one feature from the extraction's Parquet.
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type Extraction, type FeatureQuery, featureIdOf } from '@mistudio/contract'
import { openExtraction } from '@mistudio/feature'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeExtractionFolder, writeSae } from '../../testing/artefacts.ts'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  addDemoModel,
  addText,
  problemOf,
  startTestServer,
  type TestServer,
  temporaryFolder,
} from '../../testing/server.ts'
import { extractions, features } from '../db/schema.ts'
import { featureRows } from '../domain/features/rows.ts'

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  let extraction: Extraction
  const elsewhere = temporaryFolder()
  beforeAll(async () => {
    server = await startTestServer(target)
    const { client, services } = server
    const model = await addDemoModel(server)
    const text = await addText(server, 'Words')
    const path = await writeSae({
      dir: join(elsewhere, target.kind),
      hookPoint: 'blocks.0.hook_resid_post',
      dIn: model.d_model,
    })
    const { imported } = await client.importSaes({ body: { path, model_id: model.id, name: 'Mine' } })
    const { created } = await client.createExtractions({
      body: { sae_id: imported[0].id, dataset_ids: [text.id], config: { auto_nlp: false } },
    })
    extraction = created[0]
    const stored = `extractions/${extraction.id}/attempt-1/extraction`
    const dir = services.storage.resolve(stored)
    // The data folder was elsewhere when the extraction ran.
    await writeExtractionFolder({ dir, sourceFile: `/old/place/datasets/${text.id}/text.jsonl` })
    const open = await openExtraction({ dir })
    const rows = await featureRows({ extraction: open, extractionId: extraction.id })
    open.close()
    rows[4].search_text += '\n100%_sure \\o/ straße'
    rows[0].max = null
    await services.db.insert(features).values(rows)
    await services.db
      .update(extractions)
      .set({ status: 'completed', path: stored, tokens: 60 })
      .where(eq(extractions.id, extraction.id))
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })

  const list = (query: Partial<FeatureQuery> = {}) =>
    server.client.listFeatures({ query: { extraction_id: extraction.id, ...query } })
  const numbers = async (query: Partial<FeatureQuery> = {}) =>
    (await list(query)).data.map(one => one.feature)
  const idOf = (feature: number) => featureIdOf({ extractionId: extraction.id, feature })

  test('are listed by readability, sorted as asked, page by page with the total', async () => {
    const all = await list()
    expect(all.pagination).toEqual({ limit: 50, offset: 0, total: 5, has_more: false })
    const readable = all.data.map(({ readability }) => readability)
    expect(readable).toEqual(readable.toSorted((a, b) => b - a))
    expect(await numbers({ sort_by: 'density' })).toEqual([5, 4, 3, 2, 1])
    expect(await numbers({ sort_by: 'density', sort_order: 'asc' })).toEqual([1, 2, 3, 4, 5])
    expect(await numbers({ sort_by: 'feature', sort_order: 'asc', limit: 2, offset: 2 })).toEqual([3, 4])
    // One without a maximum is last, whichever way.
    expect(await numbers({ sort_by: 'max' })).toEqual([2, 3, 4, 5, 1])
    expect((await numbers({ sort_by: 'max', sort_order: 'asc' })).at(-1)).toBe(1)
    const page = await list({ sort_by: 'feature', limit: 2 })
    expect(page.pagination).toEqual({ limit: 2, offset: 0, total: 5, has_more: true })
    expect(page.data[1]).toMatchObject({ id: idOf(5 - 1), fired: 4, density: 4 / 60, top_examples: 3 })
  })

  test('are filtered by density and maximum', async () => {
    const sorted = { sort_by: 'feature', sort_order: 'asc' } as const
    expect(await numbers({ ...sorted, min_density: 2 / 60 - 1e-9, max_density: 4 / 60 + 1e-9 })).toEqual([
      2, 3, 4,
    ])
    const { data } = await list({ sort_by: 'max' })
    expect(await numbers({ ...sorted, min_max: data[1].max! })).toEqual([2, 3])
    expect(await numbers({ ...sorted, max_max: data[1].max! - 1e-6 })).toEqual([4, 5])
  })

  test('are found by any text, in any case; what is a pattern to the database is text here', async () => {
    const found = (search: string) => numbers({ search, sort_by: 'feature', sort_order: 'asc' })
    expect(await found('100%_SURE')).toEqual([5])
    expect(await found('\\O/')).toEqual([5])
    expect(await found('STRASSE')).toEqual([])
    expect(await found('Straße')).toEqual([5])
    expect(await found('100_')).toEqual([])
    expect(await found('%')).toEqual([5])
    expect(await found('')).toEqual([1, 2, 3, 4, 5])
    expect((await list({ search: 'straße', limit: 1 })).pagination.total).toBe(1)
  })

  test('one has its examples, histogram and names', async () => {
    const one = await server.client.getFeature({ params: { id: idOf(4) } })
    expect(one).toMatchObject({
      id: idOf(4),
      feature: 4,
      fired: 4,
      sae_name: 'Mine',
      model_name: 'mistudio-demo',
      hook_point: 'blocks.0.hook_resid_post',
      dataset_names: ['Words.jsonl'],
      split: 'train',
      tokens: 60,
      // Activations from 9.52 to 9.76.
      histogram: [{ low: 8, high: 16, tokens: 4 }],
      top_logits: null,
      bottom_logits: null,
      nlp: null,
    })
    const top = one.examples.filter(({ kind }) => kind === 'top')
    expect(top.map(({ rank, context, dataset }) => [rank, context, dataset])).toEqual([
      [0, 6, 'Words.jsonl'],
      [1, 7, 'Words.jsonl'],
      [2, 8, 'Words.jsonl'],
    ])
    expect(top[0]).toMatchObject({ position: 0, peak_index: 0, source_row: 6, document: 6 })
    expect(top[0].token_texts[0]).toBe(String.fromCharCode(65 + 24))
    expect(top[0].activations[0]).toBe(top[0].peak_activation)
    expect(top[0].peak_activation).toBeCloseTo(9.76)
  })

  test('unknown ones, wrong ids and wrong queries are refused', async () => {
    const get = (id: string) => problemOf(server.client.getFeature({ params: { id } }))
    expect(await get(idOf(0))).toMatchObject({ status: 404, found: idOf(0) })
    expect(await get(`feat_${'0'.repeat(20)}_1`)).toMatchObject({ status: 404 })
    expect(await get('feat_1')).toMatchObject({ status: 400, expected: 'an id like feat_…_17' })
    expect(await problemOf(list({ extraction_id: `extr_${'0'.repeat(20)}` }))).toMatchObject({
      status: 404,
      field: 'extraction_id',
    })
    expect(await problemOf(list({ sort_by: 'size' as 'max' }))).toMatchObject({
      status: 400,
      field: 'sort_by',
    })
    expect(await problemOf(list({ limit: 501 }))).toMatchObject({ field: 'limit', expected: 'at most 500' })
    const twice = await fetch(`${server.url}/api/v1/features?extraction_id=${extraction.id}&limit=1&limit=2`)
    expect(twice.status).toBe(400)
  })

  test('files that are gone are said to be; a deleted extraction takes features and files along', async () => {
    const { storage, db } = server.services
    const dir = storage.resolve(`extractions/${extraction.id}`)
    // The open one would still be read.
    await server.services.shelf.close()
    renameSync(dir, `${dir}-away`)
    expect(await problemOf(server.client.getFeature({ params: { id: idOf(4) } }))).toMatchObject({
      type: 'conflict',
      status: 409,
      title: 'the files of this extraction cannot be read',
    })
    renameSync(`${dir}-away`, dir)
    expect((await server.client.getFeature({ params: { id: idOf(4) } })).feature).toBe(4)
    await server.client.deleteExtraction({ params: { id: extraction.id } })
    expect(existsSync(dir)).toBe(false)
    expect(await db.$count(features)).toBe(0)
  })
})

// SAEs over HTTP, on both databases: from a training, and from a folder.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Dataset, Model, Training } from '@mistudio/contract'
import { type Sae, saveSae } from '@mistudio/sae'
import { eq, inArray } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { demoWidth, writeSae } from '../../testing/artefacts.ts'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  addDemoModel,
  addText,
  completeTraining,
  trainingHooks as hooks,
  otherModelFolder,
  problemOf,
  startTestServer,
  type TestServer,
  temporaryFolder,
  trainingBody,
} from '../../testing/server.ts'
import { extractions, saes, trainings } from '../db/schema.ts'

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  let model: Model
  let text: Dataset
  const elsewhere = temporaryFolder()
  beforeAll(async () => {
    server = await startTestServer(target)
    model = await addDemoModel(server)
    text = await addText(server)
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })

  describe('SAEs of a completed training', () => {
    let training: Training
    beforeEach(async () => {
      const body = { ...trainingBody(model.id, [text.id]), name: 'Done' }
      training = await server.client.createTraining({ body })
      await completeTraining(server, training)
    })
    const available = async () => (await server.client.listTrainingSaes({ params: { id: training.id } })).data
    const take = (hook_points?: string[]) =>
      server.client.importSaes({ body: { training_id: training.id, hook_points } })

    test('are listed with hook and sizes from their files, those imported marked', async () => {
      const before = await available()
      expect(before.map(sae => [sae.hook_point, sae.layer, sae.hook_type, sae.imported_sae_id])).toEqual([
        [hooks[0], 0, 'resid_post', null],
        [hooks[1], 0, 'mlp_out', null],
        [hooks[2], 1, 'resid_post', null],
        [hooks[3], 1, 'mlp_out', null],
      ])
      expect(before[0]).toMatchObject({ architecture: 'topk', d_in: demoWidth, d_sae: 8, k: 2 })
      const some = await take([hooks[1]])
      expect(some.imported).toMatchObject([
        {
          name: 'Done · layer 0 mlp_out',
          training_id: training.id,
          training_name: 'Done',
          model_name: 'mistudio-demo',
          source: 'training',
          hook_type: 'mlp_out',
        },
      ])
      const marked = await available()
      expect(marked.map(sae => sae.imported_sae_id)).toEqual([null, some.imported[0].id, null, null])
      const rest = await take()
      expect(rest.imported.map(sae => sae.hook_point)).toEqual([hooks[0], hooks[2], hooks[3]])
      expect(rest.skipped).toEqual([
        {
          hook_point: hooks[1],
          member: hooks[1],
          reason: 'imported already, as Done · layer 0 mlp_out',
        },
      ])
      expect((await take()).imported).toEqual([])
      const listed = await server.client.listSaes({ query: { training_id: training.id } })
      expect(listed.data).toHaveLength(4)
      const found = await server.client.listSaes({ query: { search: 'LAYER 1 resid_' } })
      expect(found.data.map(sae => sae.hook_point)).toContain(hooks[2])
      expect((await server.client.listSaes({ query: { search: 'layer%resid' } })).data).toEqual([])
    })

    test('two imports at once make each SAE once', async () => {
      const results = await Promise.all([take(), take(), take([hooks[0]])])
      const imported = results.flatMap(result => result.imported.map(sae => sae.hook_point))
      expect(imported.sort()).toEqual([...hooks].sort())
    })

    test('a hook point that the training has not is named', async () => {
      expect(await problemOf(take(['blocks.7.hook_resid_post']))).toMatchObject({
        status: 400,
        field: 'hook_points',
        found: 'blocks.7.hook_resid_post',
        expected: hooks.join(', '),
      })
    })

    test('keep the training; an SAE goes when nothing uses it, its files stay', async () => {
      const { db, storage } = server.services
      const { imported } = await take()
      const params = { id: training.id }
      expect(await problemOf(server.client.deleteTraining({ params }))).toMatchObject({
        type: 'conflict',
        status: 409,
      })
      const { created } = await server.client.createExtractions({
        body: { sae_id: imported[0].id, dataset_ids: [text.id] },
      })
      expect(await problemOf(server.client.deleteSae({ params: { id: imported[0].id } }))).toMatchObject({
        status: 409,
        found: `${imported[0].name}, used by an extraction`,
      })
      await db.delete(extractions).where(eq(extractions.id, created[0].id))
      for (const { id } of imported) await server.client.deleteSae({ params: { id } })
      const [row] = await db.select().from(trainings).where(eq(trainings.id, training.id))
      expect(existsSync(storage.resolve(`${row.path}/${hooks[0]}`))).toBe(true)
      await server.client.deleteTraining({ params })
      expect(existsSync(storage.resolve(`trainings/${training.id}`))).toBe(false)
    })

    test('whose files are gone are not offered', async () => {
      const [row] = await server.services.db.select().from(trainings).where(eq(trainings.id, training.id))
      rmSync(server.services.storage.resolve(`${row.path}/${hooks[2]}`), { recursive: true })
      expect((await available()).map(sae => sae.hook_point)).toEqual([hooks[0], hooks[1], hooks[3]])
    })
  })

  describe('an SAE from a folder', () => {
    const folder = (name: string, hookPoint = 'blocks.3.hook_attn_out', dIn = demoWidth) =>
      writeSae({ dir: join(elsewhere, `${target.kind}-${name}`), hookPoint, dIn })
    const take = (body: object) =>
      server.client.importSaes({ body: { model_id: model.id, ...body } as never })

    test('is copied, stands without a training, and goes with its copy', async () => {
      const path = await folder('good')
      const { imported, skipped } = await take({ path, name: 'From elsewhere' })
      expect(skipped).toEqual([])
      expect(imported).toMatchObject([
        {
          name: 'From elsewhere',
          source: 'folder',
          training_id: null,
          training_name: null,
          layer: 3,
          hook_type: 'attn_out',
          d_in: demoWidth,
        },
      ])
      const copy = server.services.storage.resolve(`saes/${imported[0].id}`)
      expect(readdirSync(copy).sort()).toEqual(['cfg.json', 'sae_weights.safetensors'])
      rmSync(path, { recursive: true })
      const { created } = await server.client.createExtractions({
        body: { sae_ids: [imported[0].id], dataset_ids: [text.id] },
      })
      expect(created[0]).toMatchObject({ sae_name: 'From elsewhere', training_id: null })
      await server.services.db.delete(extractions).where(inArray(extractions.id, [created[0].id]))
      await server.client.deleteSae({ params: { id: imported[0].id } })
      expect(existsSync(copy)).toBe(false)
    })

    test.each(['transcoder', 'crosscoder'] as const)('may be a %s, whose L0 varies', async structure => {
      const path = join(elsewhere, `${target.kind}-${structure}`)
      const span = (hook: string) => ({ hook, width: demoWidth })
      const inputs = [span('blocks.1.hook_resid_mid')]
      if (structure === 'crosscoder') inputs.push(span('blocks.2.hook_resid_mid'))
      const outputs = structure === 'crosscoder' ? inputs : [span('blocks.1.hook_mlp_out')]
      const [dSae, dIn, dOut] = [4, inputs.length * demoWidth, outputs.length * demoWidth]
      const sae: Sae = {
        family: structure,
        shape: { dIn, dSae, dOut },
        groups: [{ latents: [0, dSae], input: [0, dIn], output: [0, dOut] }],
        activation: { kind: 'relu' },
        centred: false,
        normalisation: 'none',
        hooks: { inputs, outputs },
        weights: {
          wEnc: new Float32Array(dIn * dSae),
          bEnc: new Float32Array(dSae),
          wDec: new Float32Array(dOut * dSae),
          bDec: new Float32Array(dOut),
        },
      }
      await saveSae({ dir: path, sae, metadata: { modelName: 'any', contextSize: 64 } })
      const { imported } = await take({ path })
      expect(imported).toMatchObject([
        {
          hook_point: 'blocks.1.hook_resid_mid',
          layer: 1,
          architecture: structure === 'transcoder' ? 'transcoder' : 'mistudio_relu_crosscoder',
          d_in: dIn,
          d_sae: dSae,
          k: null,
        },
      ])
      const { created, skipped } = await server.client.createExtractions({
        body: { sae_ids: [imported[0].id], dataset_ids: [text.id] },
      })
      expect(skipped).toEqual([])
      await server.services.db.delete(extractions).where(inArray(extractions.id, [created[0].id]))
      await server.client.deleteSae({ params: { id: imported[0].id } })
    })

    test('of another width or hook than the model has is refused, and nothing stays', async () => {
      const narrow = await problemOf(take({ path: await folder('narrow', 'blocks.0.hook_mlp_out', 64) }))
      expect(narrow).toMatchObject({
        status: 400,
        field: 'd_in',
        found: '64',
        expected: '256, the width of blocks.0.hook_mlp_out in mistudio-demo',
      })
      const beyond = await problemOf(take({ path: await folder('beyond', 'blocks.99.hook_mlp_out') }))
      expect(beyond).toMatchObject({ status: 400, found: 'blocks.99.hook_mlp_out' })
      const other = await server.client.createModel({
        body: { path: otherModelFolder(elsewhere, `llama-${target.kind}`) },
      })
      const foreign = await problemOf(take({ path: await folder('foreign', hooks[0]), model_id: other.id }))
      expect(foreign).toMatchObject({ field: 'd_in', found: '256' })
      const copies = server.services.storage.resolve('saes')
      expect(existsSync(copies) ? readdirSync(copies) : []).toEqual([])
      expect(await server.services.db.$count(saes, eq(saes.source, 'folder'))).toBe(0)
    })

    test('that is none, or half a request, is refused by name', async () => {
      expect(await problemOf(take({ path: join(elsewhere, 'nowhere') }))).toMatchObject({
        status: 400,
        title: 'the SAE folder has no readable cfg.json',
        file: join(elsewhere, 'nowhere', 'cfg.json'),
      })
      expect(await problemOf(take({}))).toMatchObject({ status: 400, field: 'training_id' })
      expect(await problemOf(take({ path: '/x', model_id: undefined }))).toMatchObject({ field: 'model_id' })
      expect(await problemOf(take({ path: '/x', model_id: `m_${'0'.repeat(20)}` }))).toMatchObject({
        status: 404,
      })
    })
  })
})

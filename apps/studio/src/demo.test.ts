// The demo project: made once, gone on with from wherever it was left, and never made again against a person's will.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { channelOf } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { databaseTargets } from '../testing/db/databases.ts'
import { completeTraining, eventually, startTestServer, type TestServer } from '../testing/server.ts'
import { extractions, saes, trainings } from './db/schema.ts'
import { demoRecipe, startDemo } from './demo.ts'

const [embedded] = databaseTargets()
let server: TestServer
let end: () => Promise<void>
beforeEach(async () => {
  server = await startTestServer(embedded)
  end = async () => {}
})
afterEach(async () => {
  await end()
  await server.close()
  expect(server.faults).toEqual([])
})

async function restart(): Promise<void> {
  await end()
  end = await startDemo(server.services)
}
const marker = () => join(server.services.storage.dataDir, 'demo.json')
const step = () => JSON.parse(readFileSync(marker(), 'utf8')).step
const counts = async () => {
  const { client } = server
  const totals = [
    client.listDatasets(),
    client.listModels(),
    client.listTrainings(),
    client.listExtractions(),
  ]
  return (await Promise.all(totals)).map(({ pagination }) => pagination.total)
}
const demoTraining = async () => (await server.client.listTrainings()).data[0]
/** Tells of a move that the test has made. */
async function tell(id: string, status: 'completed' | 'cancelled'): Promise<void> {
  const data = { training_id: id, status, error_message: null }
  await server.services.log.write(async () => [
    { channel: channelOf.training(id), event: 'training:status', data },
  ])
}

test('a new folder gets model, texts and training; a second start adds nothing', async () => {
  await restart()
  expect(await counts()).toEqual([4, 1, 1, 0])
  const training = await demoTraining()
  expect(training).toMatchObject({
    name: 'Demo',
    model_name: 'mistudio-demo',
    dataset_names: ['scripture', 'dictionary', 'programming', 'databases'],
    layers: [2, 4],
    hook_types: ['resid_post', 'mlp_out'],
    hyperparameters: demoRecipe.training.hyperparameters,
    status: 'pending',
  })
  const { data } = await server.client.listDatasets()
  expect(data.map(({ source, format }) => [source, format])).toEqual(Array(4).fill(['demo', 'jsonl']))
  await restart()
  expect(await counts()).toEqual([4, 1, 1, 0])
})

test('a completed training gives SAEs and one batch of extractions, however often it is told', async () => {
  await restart()
  const training = await demoTraining()
  await completeTraining(server, training)
  await Promise.all([tell(training.id, 'completed'), tell(training.id, 'completed')])
  await eventually(step).toBe('done')
  const { data } = await server.client.listExtractions()
  expect(data.map(one => [one.hook_point, one.batch_position, one.batch_total, one.nlp_status])).toEqual(
    training.saes.map(({ hook_point }, i) => [hook_point, i + 1, 4, 'pending']),
  )
  expect(data[0]).toMatchObject({ config: demoRecipe.extraction })
  // What a person removes stays removed.
  await server.services.db.delete(extractions)
  await restart()
  expect(await counts()).toEqual([4, 1, 1, 0])
})

test('is gone on with where an end left it', async () => {
  const { db } = server.services
  await restart()
  const training = await demoTraining()
  await end()
  // Everything was made, but not yet written down.
  rmSync(marker())
  await restart()
  expect(await counts()).toEqual([4, 1, 1, 0])
  await end()
  // It was completed while nobody watched, and some SAEs are imported already.
  await completeTraining(server, training)
  const hook_points = [training.saes[1].hook_point]
  await server.client.importSaes({ body: { training_id: training.id, hook_points } })
  await restart()
  expect(await counts()).toEqual([4, 1, 1, 4])
  expect(await db.$count(saes)).toBe(4)
  // The extractions were made, but not yet written down.
  await end()
  rmSync(marker())
  await restart()
  expect(await counts()).toEqual([4, 1, 1, 4])
  expect(step()).toBe('done')
})

test('a training that is stopped or deleted is the end of it', async () => {
  await restart()
  const training = await demoTraining()
  await server.client.stopTraining({ params: { id: training.id }, body: { keep: false } })
  await eventually(step).toBe('done')
  expect(await counts()).toEqual([4, 1, 1, 0])
  await server.client.deleteTraining({ params: { id: training.id } })
  await restart()
  expect(await counts()).toEqual([4, 1, 0, 0])
})

test('a training that is gone without a word is no reason to wait', async () => {
  await restart()
  await end()
  await server.services.db.delete(trainings).where(eq(trainings.id, (await demoTraining()).id))
  await restart()
  expect(step()).toBe('done')
})

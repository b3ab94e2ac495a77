// What the tests of the server share: a server on a real database whose jobs do not run, and things for it to serve.
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  ApiError,
  type Client,
  createClient,
  type Dataset,
  type Problem,
  type Training,
  type TrainingRequestGiven,
} from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import { afterAll, expect } from 'vitest'
import { openDatabase } from '../src/db/connect.ts'
import { jobs, trainings } from '../src/db/schema.ts'
import { createExtractionShelf } from '../src/domain/extractions/shelf.ts'
import type { Services } from '../src/domain/services.ts'
import { createEventLog } from '../src/events/log.ts'
import { createJobHost } from '../src/jobs/host.ts'
import { buildServer } from '../src/server.ts'
import { createStorage, demoModelPath, folders } from '../src/storage.ts'
import { demoWidth, writeSae } from './artefacts.ts'
import type { DatabaseTarget } from './db/databases.ts'

export type TestServer = {
  services: Services
  client: Client
  url: string
  /** Faults of ours that were reported. */
  faults: unknown[]
  close(): Promise<void>
}

/** The job host is never started: jobs stay queued, and are moved as a person asks. */
export async function startTestServer(
  target: DatabaseTarget,
  options: { maxUploadBytes?: number; webDir?: string; pingMilliseconds?: number } = {},
): Promise<TestServer> {
  const { maxUploadBytes = 1 << 20, webDir = join(tmpdir(), 'no-such-web'), pingMilliseconds } = options
  const created = await target.create()
  const database = await openDatabase(created)
  const storage = createStorage(created)
  const log = createEventLog({ db: database.db })
  const faults: unknown[] = []
  const onError = (error: unknown) => void faults.push(error)
  const host = createJobHost({ database, log, storage, onError })
  const shelf = createExtractionShelf()
  const services: Services = { db: database.db, log, host, storage, shelf, maxUploadBytes, onError }
  const app = await buildServer({ services, webDir, pingMilliseconds })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    services,
    client: createClient({ baseUrl: url }),
    url,
    faults,
    async close() {
      await app.close()
      await shelf.close()
      log.close()
      await database.close()
    },
  }
}

/** What becomes true in its own time, also on a busy machine. */
export const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 60_000 })

/** A folder that is gone after the file's last test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mistudio-server-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The problem that a request is answered with. */
export async function problemOf(request: Promise<unknown>): Promise<Problem> {
  const error: unknown = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof ApiError) return error.problem
  throw new Error(`expected a problem, got ${String(error)}`)
}

export const jsonl = (texts: string[]) => texts.map(text => `${JSON.stringify({ text })}\n`).join('')

export function addText(server: TestServer, name = 'text'): Promise<Dataset> {
  return server.client.uploadDataset({ file: new Blob([jsonl(['one', 'two'])]), fileName: `${name}.jsonl` })
}

export const addDemoModel = (server: TestServer) =>
  server.client.createModel({ body: { path: demoModelPath } })

const tokenizers = fileURLToPath(new URL('../../../packages/tokenizer/fixtures', import.meta.url))
const fixtures = fileURLToPath(new URL('../../../packages/model/fixtures', import.meta.url))

/** A folder with a tiny model of another width than the demo's. */
export function otherModelFolder(parent: string, name = 'tiny-llama'): string {
  const folder = join(parent, name)
  mkdirSync(folder, { recursive: true })
  for (const file of ['config.json', 'model.safetensors']) {
    cpSync(join(fixtures, 'llama', file), join(folder, file))
  }
  cpSync(join(tokenizers, 'llama2', 'tokenizer.json'), join(folder, 'tokenizer.json'))
  return folder
}

/** The hook points of `trainingBody`. */
export const trainingHooks = [
  'blocks.0.hook_resid_post',
  'blocks.0.hook_mlp_out',
  'blocks.1.hook_resid_post',
  'blocks.1.hook_mlp_out',
]

export const trainingBody = (modelId: string, datasetIds: string[]): TrainingRequestGiven => ({
  model_id: modelId,
  dataset_ids: datasetIds,
  layers: [0, 1],
  hook_types: ['resid_post', 'mlp_out'],
  hyperparameters: {
    family: 'topk',
    d_sae: 8,
    settings: { k: 2, normalisation: 'none' },
    train_tokens: 1500,
    batch_size: 1024,
    context_size: 64,
  },
})

/** A training on the demo's model as its job would have left it. */
export async function completeTraining(server: TestServer, training: Training): Promise<void> {
  const { db, storage } = server.services
  const path = `${folders.training(training.id)}/attempt-1/run`
  for (const { name, hook_point: hookPoint } of training.saes) {
    await writeSae({ dir: storage.resolve(`${path}/${name}`), hookPoint, dIn: demoWidth })
  }
  await db.update(trainings).set({ status: 'completed', path }).where(eq(trainings.id, training.id))
  await db.update(jobs).set({ status: 'completed' }).where(eq(jobs.id, training.job_id!))
}

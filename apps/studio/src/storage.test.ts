// The data folder: paths of rows are relative to it, stay in it, and hold wherever it lies.
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@mistudio/contract'
import { afterEach, expect, test } from 'vitest'
import { jsonl } from '../testing/server.ts'
import { createStorage, demoAssets, demoModelPath, folders } from './storage.ts'
import { type Studio, startStudio } from './studio.ts'

let undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.reverse()) await step()
  undo = []
})

test('a path of a row gives its file in whatever folder, and back', () => {
  const path = folders.attempt(folders.training('train_1'), 2)
  for (const dataDir of ['/somewhere', '/else/where']) {
    const storage = createStorage({ dataDir })
    expect(storage.resolve(path)).toBe(join(dataDir, 'trainings', 'train_1', 'attempt-2'))
    expect(storage.relative(storage.resolve(path))).toBe('trainings/train_1/attempt-2')
    expect(storage.modelDir(demoModelPath)).toBe(join(demoAssets, 'model'))
    expect(storage.modelDir('/models/gpt2')).toBe('/models/gpt2')
  }
})

test.each(['/etc/passwd', '../beside', 'saes/../../beside', '..', '', '.'])(
  'a path that leads out of the data folder is refused: %j',
  path => {
    const storage = createStorage({ dataDir: '/somewhere' })
    expect(() => storage.resolve(path)).toThrow(/out of the data folder/)
  },
)

test('a data folder that was moved goes on with what it holds', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'mistudio-moved-'))
  undo.push(() => rmSync(parent, { recursive: true, force: true }))
  const faults: unknown[] = []
  const start = async (dataDir: string): Promise<Studio> => {
    const onError = (error: unknown) => void faults.push(error)
    const studio = await startStudio({ dataDir, port: 0, demo: false, threads: 1, onError })
    undo.push(() => studio.close())
    return studio
  }
  const [before, after] = [join(parent, 'before'), join(parent, 'after')]
  const first = await start(before)
  const dataset = await createClient({ baseUrl: first.url }).uploadDataset({
    file: new Blob([jsonl(Array.from({ length: 40 }, (_, i) => `document number ${i}`))]),
    fileName: 'text.jsonl',
  })
  await first.close()
  renameSync(before, after)

  const { url } = await start(after)
  const client = createClient({ baseUrl: url })
  expect((await client.listDatasets()).data).toEqual([dataset])
  const model = await client.createModel({ body: { path: demoModelPath } })
  const body = { dataset_id: dataset.id, model_id: model.id, context_size: 16 }
  const { id } = await client.createTokenization({ body })
  const look = async () => (await client.getTokenization({ params: { id } })).status
  await expect.poll(look, { timeout: 60_000 }).toBe('ready')
  expect(existsSync(before)).toBe(false)
  expect(faults).toEqual([])
})

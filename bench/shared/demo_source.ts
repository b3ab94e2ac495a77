// The demo model and its four datasets as benches train on them.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ContextSource, type Forward, shuffledContexts } from '@mistudio/capture'
import { openTokenStore, type TokenStore, tokenizeFiles } from '@mistudio/corpus'
import { compileForward, openModel } from '@mistudio/model'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { openTokenizer } from '@mistudio/tokenizer'
import { type TrainMember, trainSaes } from '@mistudio/training'

export const demoModel = fileURLToPath(new URL('../../assets/demo/model', import.meta.url))
const contextSize = 128
export const contextsPerCall = 8

export type DemoSource = {
  /** Folders of the token stores. */
  datasets: string[]
  source(options: { seed: number }): ContextSource
  forward(hooks: readonly string[]): Promise<Forward & { close(): Promise<void> }>
  close(): void
}

export async function openDemo(options: {
  pool: WorkerPool
  folder: string
  cacheDir: string
}): Promise<DemoSource> {
  const { pool, folder, cacheDir } = options
  const model = await openModel({ dir: demoModel, cacheDir })
  const tokenizer = openTokenizer({ dir: demoModel })
  const stores: TokenStore[] = []
  const datasets: string[] = []
  for (const name of ['scripture', 'dictionary', 'programming', 'databases']) {
    const file = fileURLToPath(new URL(`../../assets/demo/datasets/${name}.jsonl`, import.meta.url))
    const out = join(folder, 'datasets', name)
    await tokenizeFiles({ files: [file], tokenizer, contextSize, out })
    stores.push(openTokenStore({ dir: out }))
    datasets.push(out)
  }
  return {
    datasets,
    source: ({ seed }) =>
      shuffledContexts({ splits: stores.map(store => store.split('train')), contextSize, seed }),
    forward: hooks => compileForward({ model, pool, contextsPerCall, contextSize, captures: [...hooks] }),
    close() {
      for (const store of stores) store.close()
    },
  }
}

/** Trains SAEs of one hook point in one run, batch 1,024, seed 0. @returns the run's folder and the datasets' */
export async function trainOnDemo(options: {
  members: readonly TrainMember[]
  hook: string
  trainTokens: number
  folder: string
  cacheDir: string
}): Promise<{ out: string; datasets: string[] }> {
  const { members, hook, trainTokens, folder, cacheDir } = options
  mkdirSync(folder, { recursive: true })
  const out = join(folder, 'run')
  rmSync(out, { recursive: true, force: true })
  const pool = await openWorkerPool({ count: 2 })
  const demo = await openDemo({ pool, folder, cacheDir })
  const forward = await demo.forward([hook])
  const { datasets } = demo
  await trainSaes({
    pool,
    forward,
    contextsPerCall,
    source: demo.source({ seed: 0 }),
    members,
    settings: { trainTokens, batchSize: 1024, seed: 0 },
    modelName: 'demo',
    datasets,
    out,
  })
  await forward.close()
  demo.close()
  await pool.close()
  return { out, datasets }
}

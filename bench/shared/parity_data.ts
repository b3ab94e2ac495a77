// Activations of the demo model in files, as the parity bench gives them to both sides: for each hook point one file of
// training rows in the order in which our loop would take them, and one of held-out rows. Every hook point is scaled by
// one number so that E‖x‖ = √d, which is what both sides' coefficients are made for.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type ContextSource,
  contextsInOrder,
  createActivationBuffer,
  shuffledContexts,
} from '@mistudio/capture'
import { openTokenStore, type TokenSplit, type TokenStore, tokenizeFiles } from '@mistudio/corpus'
import { compileForward, openModel } from '@mistudio/model'
import type { WorkerPool } from '@mistudio/tensor'
import { openTokenizer } from '@mistudio/tokenizer'

export const dModel = 256
const contextSize = 128
const contextsPerCall = 8
const windowContexts = 512

export type ParityData = {
  /** Writes `steps` batches of `batchSize` rows. @returns the file of each hook point */
  train(options: { seed: number; batchSize: number; steps: number }): Promise<Map<string, string>>
  heldOut(options: { tokens: number }): Promise<Map<string, string>>
  close(): Promise<void>
}

export async function openParityData(options: {
  pool: WorkerPool
  folder: string
  cacheDir: string
  hooks: readonly string[]
}): Promise<ParityData> {
  const { pool, folder, cacheDir, hooks } = options
  const assets = fileURLToPath(new URL('../../assets/demo', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const model = await openModel({ dir: join(assets, 'model'), cacheDir })
  const tokenizer = openTokenizer({ dir: join(assets, 'model') })
  const stores: TokenStore[] = []
  for (const name of ['scripture', 'dictionary', 'programming', 'databases']) {
    const out = join(folder, 'datasets', name)
    await tokenizeFiles({ files: [join(assets, 'datasets', `${name}.jsonl`)], tokenizer, contextSize, out })
    stores.push(openTokenStore({ dir: out }))
  }
  const splits = (name: 'train' | 'held_out'): TokenSplit[] => stores.map(store => store.split(name))
  const forward = await compileForward({ model, pool, contextsPerCall, contextSize, captures: [...hooks] })
  /** √d / E‖x‖ of each hook point, from the first window ever captured. */
  let scales: Map<string, number> | undefined

  async function write(given: {
    source: ContextSource
    seed: number
    batchSize: number
    batches: number
    name: string
  }): Promise<Map<string, string>> {
    const { source, seed, batchSize, batches, name } = given
    const rowBytes = dModel * 4
    const contexts = Math.min(windowContexts, source.contexts)
    const window = await createActivationBuffer({
      pool,
      forward,
      contextsPerCall,
      hooks,
      source,
      contexts,
      seed,
    })
    const memory = await pool.memory({ bytes: batchSize * rowBytes + 64 })
    const at = memory.alloc(batchSize * rowBytes)
    const rows = memory.f32(at, batchSize * dModel)
    const paths = new Map(hooks.map(hook => [hook, join(folder, `${name}-${hook}.f32`)]))
    const files = new Map(hooks.map(hook => [hook, openSync(paths.get(hook)!, 'w')]))
    let done = 0
    for (let index = 0; done < batches; index++) {
      const count = Math.floor((await window.fill(index)) / batchSize)
      scales ??= new Map(
        hooks.map(hook => {
          const { tokens, sumNorms } = window.moments(hook)
          return [hook, (Math.sqrt(dModel) * tokens) / sumNorms]
        }),
      )
      for (let batch = 0; batch < count && done < batches; batch++, done++) {
        for (const hook of hooks) {
          const copy = {
            from: window.activations(hook),
            to: { memory: memory.id, offset: at },
            rows: { ...window.rows, offset: window.rows.offset + batch * batchSize * 4 },
            count: batchSize,
            width: dModel,
          }
          await pool.run([[{ copy }]])
          const scale = scales.get(hook)!
          writeSync(
            files.get(hook)!,
            Float32Array.from(rows, value => value * scale),
          )
        }
      }
    }
    for (const file of files.values()) closeSync(file)
    await window.close()
    await pool.release(memory)
    return paths
  }

  return {
    train: ({ seed, batchSize, steps }) =>
      write({
        source: shuffledContexts({ splits: splits('train'), contextSize, seed }),
        seed,
        batchSize,
        batches: steps,
        name: `train-${seed}`,
      }),
    heldOut: ({ tokens }) =>
      write({
        source: contextsInOrder({ splits: splits('held_out'), contextSize }),
        seed: 0,
        batchSize: 512,
        batches: Math.floor(tokens / 512),
        name: 'held-out',
      }),
    async close() {
      await forward.close()
      for (const store of stores) store.close()
    },
  }
}

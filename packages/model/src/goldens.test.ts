// Every configuration on both runtimes against what transformers computes: each recorded tensor within 1e-4, the
// greedy continuation exactly.
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  demoModel,
  fixture,
  largestDifference,
  readGolden,
  temporaryFolder,
} from '../testing/model_support.ts'
import { generate } from './generate.ts'
import { openModel } from './load.ts'
import { runModel } from './run.ts'

const names = [
  'llama',
  'gpt2',
  'llama_mha',
  'llama_rope_linear',
  'llama_rope_llama3',
  'llama_untied_bias',
  'llama_f16',
  'llama_bf16',
  'gpt2_inner',
  'gpt2_unscaled',
]
const cases = [
  ...names.map(name => ({
    name,
    dir: fixture(name),
    golden: fixture(`${name}/golden.safetensors`),
    prompt: 9,
  })),
  { name: 'demo', dir: demoModel, golden: fixture('demo-golden.safetensors'), prompt: 12 },
]

const cache = temporaryFolder()
let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(async () => {
  await pool.close()
  cache.remove()
})

describe.each(cases)('$name', ({ dir, golden: path, prompt }) => {
  const golden = readGolden(path)
  test.each(['cpu', 'oracle'] as const)('%s: every tensor within 1e-4', async runtime => {
    const model = await openModel({ dir, cacheDir: cache.path })
    const tensors = await runModel({ model, inputIds: golden.inputIds, captures: 'all', runtime, pool })
    const { nLayers } = model.config
    // Four hooks per block and the logits: every tensor of the golden must be checked.
    expect(golden.tensors.size).toBe(4 * nLayers + 1)
    for (const [name, expected] of golden.tensors) {
      const found = tensors.find(tensor => tensor.name === name)
      expect(found, name).toBeDefined()
      expect(largestDifference(found!.data, expected), name).toBeLessThanOrEqual(1e-4)
    }
    model.weights.close()
  })

  test.each(['cpu', 'oracle'] as const)('%s: greedy exactly', async runtime => {
    const model = await openModel({ dir, cacheDir: cache.path })
    const inputIds = golden.greedy.slice(0, prompt)
    const maxNewTokens = golden.greedy.length - prompt
    const { outputIds, stopped } = await generate({
      model,
      pool,
      runtime,
      inputIds,
      maxNewTokens,
      stopAtEos: false,
    })
    expect(outputIds).toEqual(golden.greedy.slice(prompt))
    expect(stopped).toBe('length')
    model.weights.close()
  })
})

// `model run`: both runtimes give the same named tensors; rows of different lengths; what is refused.
import { InputError } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { largestDifference, openFixture, temporaryFolder } from '../testing/model_support.ts'
import type { LanguageModel } from './load.ts'
import { runModel } from './run.ts'

const cache = temporaryFolder()
let pool: WorkerPool
let model: LanguageModel
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  model = await openFixture('llama', cache.path)
})
afterAll(async () => {
  model.weights.close()
  await pool.close()
  cache.remove()
})

test.each(['llama', 'gpt2_inner'])(
  '%s: every hook of both runtimes agrees, rows of any length',
  async name => {
    const other = await openFixture(name, cache.path)
    const inputIds = [
      [5, 9, 3, 40, 22],
      [7, 7, 1],
      [8, 2, 90, 11, 60],
      [3, 1, 2],
      [4, 4, 4, 4, 9],
    ]
    const [cpu, oracle] = await Promise.all(
      (['cpu', 'oracle'] as const).map(runtime =>
        runModel({ model: other, inputIds, captures: 'all', runtime, pool }),
      ),
    )
    expect(cpu.map(tensor => tensor.name)).toEqual(['logits', ...other.hookPoints, 'lengths'])
    cpu.forEach((tensor, i) => {
      expect(tensor.shape).toEqual(oracle[i].shape)
      expect(largestDifference(tensor.data, oracle[i].data), tensor.name).toBeLessThan(1e-5)
    })
    expect(Array.from(cpu.at(-1)!.data)).toEqual([5, 3, 5, 3, 5])
    const [logits] = cpu
    const { vocabSize } = other.config
    expect(logits.shape).toEqual([5, 5, vocabSize])
    // Zeros after the end of a short row.
    expect(logits.data.subarray((5 + 3) * vocabSize, 10 * vocabSize).every(value => value === 0)).toBe(true)
    expect(logits.data.subarray((5 + 2) * vocabSize, (5 + 3) * vocabSize).some(value => value !== 0)).toBe(
      true,
    )
    other.weights.close()
  },
)

test('rows of one length have no lengths; a hook asked for twice comes once', async () => {
  const hook = 'blocks.1.hook_resid_mid'
  const tensors = await runModel({
    model,
    inputIds: [
      [1, 2],
      [3, 4],
    ],
    captures: [hook, hook],
    pool,
  })
  expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
    ['logits', [2, 2, 160]],
    [hook, [2, 2, 32]],
  ])
})

test.each([
  [[[1, 160]], /input_ids\[0\]\[1\]; found: 160; expected: an integer from 0 to 159/],
  [[[1], [-1]], /input_ids\[1\]\[0\]; found: -1/],
  [[[1.5]], /found: 1\.5/],
  [[[]], /input_ids\[0\]; found: an empty list/],
  [[], /there are no tokens/],
  [[Array.from({ length: 129 }, () => 1)], /input_ids\[0\]; found: 129 tokens; expected: at most 128/],
])('ids that cannot be run: %#', async (inputIds, message) => {
  for (const runtime of ['cpu', 'oracle'] as const) {
    const error: unknown = await runModel({ model, inputIds, captures: [], runtime, pool }).catch(
      (e: unknown) => e,
    )
    expect(error).toBeInstanceOf(InputError)
    expect(String(error)).toMatch(message)
  }
})

test('an unknown hook', async () => {
  await expect(runModel({ model, inputIds: [[1]], captures: ['hook_embed'], pool })).rejects.toThrow(
    /found: hook_embed; expected: one of blocks/,
  )
})

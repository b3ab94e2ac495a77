// Spliced runs against the float64 oracle: losses and KL divergences, and what stays untouched.
import { openWorkerPool, type WorkerPlace, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openFixture, randomModel, temporaryFolder } from '../testing/model_support.ts'
import { toy } from '../testing/toy_model.ts'
import type { LanguageModel } from './load.ts'
import { runOracle } from './runtimes/oracle.ts'
import { matrix } from './runtimes/oracle_matrix.ts'
import { compileSplice } from './splice.ts'

const cache = temporaryFolder()
const contextSize = 10
let pool: WorkerPool
const models = new Map<string, LanguageModel>()
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  for (const name of ['llama', 'gpt2']) models.set(name, await openFixture(name, cache.path))
  models.set('toy', await randomModel({ architecture: toy, folder: cache.path }))
})
afterAll(async () => {
  for (const model of models.values()) model.weights.close()
  await pool.close()
  cache.remove()
})

const logSoftmax = (logits: ArrayLike<number>): number[] => {
  const row = Array.from(logits)
  const most = Math.max(...row)
  const all = Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0)) + most
  return row.map(value => value - all)
}

/** Log-probabilities of every position, by the oracle. */
function chances(
  model: LanguageModel,
  inputIds: number[],
  replace: Record<string, Float64Array<ArrayBuffer>> = {},
) {
  const { config, hooks } = model
  const changed = Object.fromEntries(
    Object.entries(replace).map(([hook, data]) => [
      hook,
      matrix(contextSize, hooks.find(({ name }) => name === hook)!.width, data),
    ]),
  )
  const { logits } = runOracle({ model, inputIds, replace: changed })
  const { vocabSize } = config
  return Array.from({ length: contextSize }, (_, t) =>
    logSoftmax(logits!.data.subarray(t * vocabSize, (t + 1) * vocabSize)),
  )
}

const divergence = (p: number[], q: number[]) =>
  p.reduce((sum, value, i) => sum + Math.exp(value) * (value - q[i]), 0)

/** Runs the untouched model and one variant on `inputIds`, in one task per call. */
async function runSplice(options: {
  model: LanguageModel
  hooks: string[]
  inputIds: number[][]
  values: Record<string, ArrayLike<number>>
  spliced: number[]
  variant: Record<string, ArrayLike<number>>
}) {
  const { model, inputIds, values, variant } = options
  const splice = await compileSplice({ model, pool, hooks: options.hooks, contextSize })
  const rows = splice.contextsPerCall * contextSize
  const scratch = rows * splice.vocabSize * 4
  const memory = await pool.memory({ bytes: 2 * pool.count * scratch + rows * 4 * 2000 })
  const worker = (): WorkerPlace => ({
    memory: memory.id,
    offset: { base: memory.alloc(scratch * pool.count), stride: scratch },
  })
  const [clean, other] = [worker(), worker()]
  const places: Record<string, WorkerPlace> = {}
  const views: Record<string, Float32Array> = {}
  for (const { name, width, dtype } of [...splice.inputs, ...splice.outputs]) {
    if (name.endsWith('log_probs')) continue
    const offset = memory.alloc(rows * width * 4)
    places[name] = { memory: memory.id, offset }
    views[name] = memory.f32(offset, rows * width)
    const given = values[name] ?? variant[name.replace('splice:', '')]
    if (dtype === 'int32') memory.i32(offset, rows).set(inputIds.flat())
    else if (given !== undefined) views[name].set(given)
  }
  const tokens = inputIds.flat().length
  const run = async (spliced: number[], log: WorkerPlace, out: WorkerPlace) => {
    views.spliced.set(spliced)
    const given = { ...places, clean_log_probs: log, log_probs: out }
    await pool.run(splice.tasks({ contexts: inputIds.length, places: given }), { worker: 0 })
    return {
      loss: views.token_loss.slice(0, tokens),
      kl: views.token_kl.slice(0, tokens),
    }
  }
  const untouched = await run(new Array(tokens).fill(0), other, clean)
  const changed = await run(options.spliced, clean, other)
  await pool.release(memory)
  await splice.close()
  return { untouched, changed, order: splice.hooks }
}

describe.each(['llama', 'gpt2', 'toy'])('a spliced run of %s', name => {
  const ids = (model: LanguageModel, row: number) =>
    Array.from({ length: contextSize }, (_, i) => (row * 31 + i * 17 + 5) % model.config.vocabSize)

  test('gives the loss and the KL divergence of the model with other values at two hooks', async () => {
    const model = models.get(name)!
    // Given out of order; between them is a block that sees the first change.
    const hooks = ['blocks.2.hook_mlp_out', 'blocks.0.hook_resid_post']
    const inputIds = [ids(model, 0), ids(model, 1)]
    const captures = [...hooks, 'blocks.2.hook_resid_mid']
    const own = inputIds.map(row => runOracle({ model, inputIds: row, captures }).hooks)
    const width = model.config.dModel
    const values = Object.fromEntries(
      captures.map(hook => [hook, own.flatMap(row => Array.from(row.get(hook)!.data))]),
    )
    const variant = Object.fromEntries(
      hooks.map((hook, h) => [hook, values[hook].map((value, i) => 0.5 * value + Math.sin(i + h))]),
    )
    const spliced = inputIds.flatMap(() => [0, 1, 1, 1, 0, 1, 1, 1, 1, 1])
    const { untouched, changed, order } = await runSplice({
      model,
      hooks,
      inputIds,
      values,
      spliced,
      variant,
    })
    expect(order).toEqual([hooks[1], hooks[0]])
    for (const [row, tokens] of inputIds.entries()) {
      const plain = chances(model, tokens)
      // The first hook everywhere, then the second over what the changed run computes at the masked positions.
      const at = (hook: string, base: ArrayLike<number>) =>
        Float64Array.from({ length: contextSize * width }, (_, i) =>
          spliced[Math.floor(i / width)] === 1 ? variant[hook][row * contextSize * width + i] : base[i],
        )
      const first = at(hooks[1], own[row].get(hooks[1])!.data)
      const between = runOracle({
        model,
        inputIds: tokens,
        captures: [hooks[0]],
        replace: { [hooks[1]]: matrix(contextSize, width, first) },
      }).hooks.get(hooks[0])!.data
      const other = chances(model, tokens, { [hooks[1]]: first, [hooks[0]]: at(hooks[0], between) })
      for (let t = 0; t < contextSize; t++) {
        const i = row * contextSize + t
        expect(untouched.loss[i]).toBeCloseTo(t === contextSize - 1 ? 0 : -plain[t][tokens[t + 1]], 4)
        expect(changed.loss[i]).toBeCloseTo(t === contextSize - 1 ? 0 : -other[t][tokens[t + 1]], 4)
        expect(changed.kl[i]).toBeCloseTo(divergence(plain[t], other[t]), 4)
      }
      // Position 0 is masked and sees nothing else.
      expect(changed.loss[row * contextSize]).toBe(untouched.loss[row * contextSize])
      expect(Math.abs(changed.kl[row * contextSize])).toBeLessThan(1e-6)
    }
    expect(Math.max(...changed.kl)).toBeGreaterThan(1e-3)
  })
})

test('an unknown hook point is refused by name', async () => {
  await expect(
    compileSplice({ model: models.get('llama')!, pool, hooks: ['blocks.9.hook_resid_post'], contextSize }),
  ).rejects.toThrow(/blocks\.9\.hook_resid_post/)
})

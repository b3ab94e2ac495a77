// A model whose layers all differ works like any other: shapes, capture, interventions, suffixes, generation. (Its
// spliced runs are in splice.test.ts.)
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { largestDifference, randomModel, runForward, temporaryFolder } from '../testing/model_support.ts'
import { toy } from '../testing/toy_model.ts'
import { compileForward, type ForwardOptions } from './forward.ts'
import { generate } from './generate.ts'
import { blockHooks, finalNormalized, resolveHook } from './hooks.ts'
import { describeModel, type LanguageModel } from './load.ts'
import { runOracle } from './runtimes/oracle.ts'
import { matrix } from './runtimes/oracle_matrix.ts'

const folder = temporaryFolder()
const contextSize = 20
/** Of float32, for a stream whose values reach 25. */
const tolerance = 3e-5
let pool: WorkerPool
let model: LanguageModel
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  model = await randomModel({ architecture: toy, folder: folder.path })
})
afterAll(async () => {
  model.weights.close()
  await pool.close()
  folder.remove()
})

const inputIds = [0, 1].map(row => Array.from({ length: contextSize }, (_, i) => (row * 31 + i * i + 5) % 90))

/** The names in a block, without those it lacks. */
const of = (layer: number, ...missing: (keyof ReturnType<typeof blockHooks>)[]) =>
  Object.entries(blockHooks(layer)).flatMap(([key, name]) => (missing.some(one => one === key) ? [] : [name]))
const hooks = [...of(0, 'residMid'), ...of(1, 'z'), ...of(2), ...of(3), finalNormalized]

async function run(options: Partial<ForwardOptions>, inputs: Record<string, ArrayLike<number>> = {}) {
  const forward = await compileForward({ model, pool, contextsPerCall: 1, contextSize, ...options })
  const outputs = await runForward({ pool, forward, inputIds, inputs })
  await forward.close()
  return { forward, outputs }
}

function oracle(hook: string, replace?: { width: number }) {
  const change = replace && { replace: { [hook]: matrix(contextSize, replace.width) } }
  const parts = inputIds.map(ids => runOracle({ model, inputIds: ids, captures: [hook], ...change }))
  return {
    values: parts.flatMap(part => Array.from(part.hooks.get(hook)!.data)),
    logits: parts.flatMap(part => Array.from(part.logits!.data)),
  }
}

test('shapes: what it consists of, layer by layer', () => {
  const { shapes } = model
  expect(model.hookPoints).toEqual(hooks)
  const width = (name: string) => resolveHook(model.hooks, name).width
  expect([0, 2, 3].map(layer => width(blockHooks(layer).z))).toEqual([16, 20, 12])
  expect(shapes.layers).toEqual([
    { span: { first: 0, last: 5 }, attention: { heads: 2, kvHeads: 1, dHead: 8, window: 6 }, dMlp: 20 },
    { span: { first: 6, last: 11 }, attention: null, dMlp: 40 },
    { span: { first: 12, last: 18 }, attention: { heads: 4, kvHeads: 2, dHead: 6 }, dMlp: 12 },
    { span: { first: 19, last: 25 }, attention: { heads: 3, kvHeads: 3, dHead: 4, window: 3 }, dMlp: 28 },
  ])
  expect(shapes.cache).toEqual([
    { kind: 'attention', layer: 0, keys: 8, values: 8, window: 6 },
    { kind: 'state', layer: 1, name: 'conv', shape: [2, 12] },
    { kind: 'attention', layer: 2, keys: 12, values: 10 },
    { kind: 'attention', layer: 3, keys: 12, values: 12, window: 3 },
  ])
  expect(shapes.finalNorm).toEqual({
    kind: 'rms',
    epsilon: 1e-5,
    weight: 'model.norm.weight',
    unitOffset: true,
  })
  expect(shapes.unembed).toEqual({
    weight: 'head.weight',
    vocab: 90,
    bias: 'head.bias',
    scale: 1.5,
    softCap: 8,
  })
  const shape = (name: string) => shapes.parameters.find(parameter => parameter.name === name)?.shape
  expect(shape('model.1.conv.weight')).toEqual([12, 1, 3])
  expect(shape('model.2.sinks')).toEqual([4])
  expect(shape('model.2.k_norm.weight')).toEqual([6])
  expect(shape('model.2.o.weight')).toEqual([16, 20])
})

test('a description needs the architecture’s name only', () => {
  expect(describeModel({ dir: model.dir, architectures: [toy] }).hooks).toEqual(model.hooks)
  expect(() => describeModel({ dir: model.dir })).toThrow(
    /model_type; found: "toy"; expected: one of llama, gpt2/,
  )
})

describe.each(hooks)('%s', hook => {
  test('a capture is the oracle’s value and ends in the hook’s own block', async () => {
    const { forward, outputs } = await run({ captures: [hook] })
    expect(largestDifference(outputs[hook], oracle(hook).values)).toBeLessThan(tolerance)
    const { layer } = resolveHook(model.hooks, hook)
    const blocks = layer === null ? 4 : hook === blockHooks(layer).residPre ? layer : layer + 1
    expect(forward.layersRun).toBe(blocks)
  })

  test('zeros in its place are zeros in the oracle', async () => {
    const { width } = resolveHook(model.hooks, hook)
    const zeros = new Float32Array(2 * contextSize * width)
    const { outputs } = await run({ replace: [hook], logits: true }, { [`replace:${hook}`]: zeros })
    const expected = oracle(hook, { width }).logits
    expect(largestDifference(outputs.logits, expected)).toBeLessThan(tolerance)
    expect(largestDifference(outputs.logits, oracle(hook).logits)).toBeGreaterThan(1e-3)
  })

  test('the suffix from it gives the losses of the whole', async () => {
    const whole = await run({ captures: hooks, tokenLoss: true })
    const rest = await run({ from: hook, tokenLoss: true }, whole.outputs)
    expect(rest.forward.inputs.map(({ name }) => name)).toContain(hook)
    expect(largestDifference(rest.outputs.token_loss, whole.outputs.token_loss)).toBeLessThan(tolerance)
  })
})

test('a suffix inside a parallel block needs the stream before the block and what the other part adds', async () => {
  const frontier = async (from: string) => (await run({ from, logits: true })).forward.frontier
  const { residPre, attnOut, post, mlpOut } = blockHooks(0)
  expect(await frontier(mlpOut)).toEqual([residPre, attnOut])
  expect(await frontier(post)).toEqual([residPre, attnOut])
  expect(await frontier(attnOut)).toEqual([residPre])
})

test('generation goes beyond every window, and both runtimes say the same', async () => {
  const options = { model, pool, inputIds: inputIds[0].slice(0, 2), maxNewTokens: 40 }
  const fast = await generate(options)
  expect(fast.outputIds).toHaveLength(40)
  expect(new Set(fast.outputIds).size).toBeGreaterThan(5)
  expect(await generate({ ...options, runtime: 'oracle' })).toEqual(fast)
  // The likeliest next token, computed without a cache.
  const ids = [...options.inputIds, ...fast.outputIds]
  const { logits } = runOracle({ model, inputIds: ids.slice(0, -1) })
  const row = logits!.data.subarray(-90)
  expect(ids.at(-1)).toBe(row.indexOf(Math.max(...row)))
})

// Every operation on both runtimes that compute: a small random model around it, over a whole context that takes several
// blocks of queries, and token by token with a cache. The oracle itself is checked in oracle.test.ts.
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { largestDifference, randomModel, temporaryFolder } from '../../testing/model_support.ts'
import { defineArchitecture } from '../architecture.ts'
import { blockHooks } from '../hooks.ts'
import type { AttentionOptions, FinalNorm, Norm, Ops, Rotary, Unembed } from '../ops.ts'
import { runModel } from '../run.ts'
import { openStepper } from './onnx_stepper.ts'
import { emptyOracleCache, runOracle } from './oracle.ts'

const folder = temporaryFolder()
let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(async () => {
  await pool.close()
  folder.remove()
})

const [nLayers, dModel, vocab, length] = [2, 24, 31, 75]
const ids = Array.from({ length }, (_, i) => (i * i * 7 + i * 3 + 5) % vocab)
/** Runs with a cache: a prompt, single tokens, several at once. */
const steps = [1, 1, 6, 1, 40, 2, 1, 1, 22]

/** The part between the stream and the projection back into it. */
type Middle = <T>(ops: Ops<T>, x: T, layer: number) => T

const plain: Norm = { kind: 'rms', epsilon: 1e-5, weight: 'final.weight' }

const modelOf = (options: { middle?: Middle; finalNorm?: FinalNorm; unembed?: Partial<Unembed> }) => {
  const { middle = (_, x) => x, finalNorm = plain, unembed } = options
  return randomModel({
    folder: folder.path,
    architecture: defineArchitecture({
      modelTypes: ['around'],
      prefix: '',
      readConfig: () => ({
        nLayers,
        dModel,
        nCtx: 80,
        vocabSize: vocab,
        eosTokenId: null,
        eosTokenIds: [],
        bosTokenId: null,
      }),
      forward(ops, _, hooks) {
        let x = ops.embedTokens('embedding', { vocab, width: dModel })
        for (let layer = 0; layer < nLayers; layer++) {
          const names = blockHooks(layer)
          x = hooks(names.residPre, x)
          const y = hooks(names.z, middle(ops, x, layer))
          x = hooks(names.residPost, ops.add(x, ops.linear(y, { weight: `out.${layer}`, out: dModel })))
        }
        return ops.unembed(ops.finalNorm(x, finalNorm, hooks), { weight: 'embedding', vocab, ...unembed })
      },
    }),
  })
}

const linear = <T>(ops: Ops<T>, x: T, name: string, layer: number, out: number) =>
  ops.linear(x, { weight: `${name}.${layer}`, out })

const attention =
  (change: Partial<AttentionOptions>, sinks = false): Middle =>
  (ops, x, layer) => {
    const options = { layer, heads: 4, kvHeads: 2, dHead: 6, scale: 0.9, ...change }
    const { heads, kvHeads, dHead, dValue = dHead } = options
    return ops.attention(
      linear(ops, x, 'q', layer, heads * dHead),
      linear(ops, x, 'k', layer, kvHeads * dHead),
      linear(ops, x, 'v', layer, kvHeads * dValue),
      sinks ? { ...options, sinks: `sinks.${layer}` } : options,
    )
  }

const rope = { theta: 100, scaling: { type: 'default' } } as const
/** Rotated queries and keys: an angle off by one position shows in the scores. */
const rotary =
  (change: Partial<Rotary>): Middle =>
  (ops, x, layer) => {
    const options = { dHead: 8, rope: { ...rope, theta: 100 + 50 * layer }, ...change }
    const q = ops.rotary(linear(ops, x, 'q', layer, 24), { heads: 3, ...options })
    const k = ops.rotary(linear(ops, x, 'k', layer, 8), { heads: 1, ...options })
    return ops.attention(q, k, linear(ops, x, 'v', layer, 8), {
      layer,
      heads: 3,
      kvHeads: 1,
      dHead: 8,
      scale: 0.4,
    })
  }

const norm =
  (options: Norm): Middle =>
  (ops, x) =>
    ops.norm(x, options)
const headNorm =
  (options: Norm): Middle =>
  (ops, x) =>
    ops.headNorm(x, { heads: 3, dHead: 8, ...options })
const shortConv =
  (kernel: number, bias?: string): Middle =>
  (ops, x, layer) =>
    ops.shortConv(x, { layer, width: dModel, kernel, weight: `conv.${layer}`, bias })

const [rms, layerNorm] = [
  { kind: 'rms', epsilon: 1e-5 },
  { kind: 'layer', epsilon: 1e-5 },
] as const
const cases: Record<string, Parameters<typeof modelOf>[0]> = {
  attention: { middle: attention({}) },
  'a window of one key': { middle: attention({ window: 1 }) },
  'a window of 5 keys': { middle: attention({ window: 5 }) },
  'a window across blocks of queries': { middle: attention({ window: 40 }) },
  'a window as long as the context': { middle: attention({ window: length }) },
  'another window in every layer': {
    middle: (ops, x, layer) => attention({ window: [7, undefined][layer] })(ops, x, layer),
  },
  'soft capped scores': { middle: attention({ softCap: 1.5 }) },
  sinks: { middle: attention({}, true) },
  'sinks, every head with its own keys': { middle: attention({ kvHeads: 4 }, true) },
  'window, soft cap and sinks together': { middle: attention({ window: 9, softCap: 2 }, true) },
  'values of another width': { middle: attention({ dValue: 10, window: 12 }, true) },
  'rotary positions': { middle: rotary({}) },
  'partial rotary': { middle: rotary({ rotaryDims: 4 }) },
  'interleaved pairs': { middle: rotary({ interleaved: true }) },
  'partial, interleaved rotary': { middle: rotary({ rotaryDims: 6, interleaved: true }) },
  'RMS norm with unit offset': { middle: norm({ ...rms, weight: 'w', unitOffset: true }) },
  'RMS norm with bias': { middle: norm({ ...rms, weight: 'w', bias: 'b' }) },
  'RMS norm without weight': { middle: norm(rms) },
  'layer norm': { middle: norm({ ...layerNorm, weight: 'w', bias: 'b' }) },
  'layer norm with unit offset': { middle: norm({ ...layerNorm, weight: 'w', bias: 'b', unitOffset: true }) },
  'layer norm without bias': { middle: norm({ ...layerNorm, weight: 'w' }) },
  'layer norm without weight and bias': { middle: norm(layerNorm) },
  'norm of heads': { middle: headNorm({ ...rms, weight: 'w' }) },
  'norm of heads with unit offset': { middle: headNorm({ ...rms, weight: 'w', unitOffset: true }) },
  'norm of heads without weight': { middle: headNorm(rms) },
  'layer norm of heads': { middle: headNorm({ ...layerNorm, weight: 'w', bias: 'b' }) },
  'short convolution': { middle: shortConv(3) },
  'short convolution over two tokens': { middle: shortConv(2) },
  'short convolution with bias': { middle: shortConv(4, 'conv_bias') },
  'a scaled stream': { middle: (ops, x) => ops.scale(x, -2.5) },
  'no final norm': { finalNorm: { kind: 'none' } },
  'final norm with unit offset': { finalNorm: { ...plain, unitOffset: true } },
  'final norm without weight': { finalNorm: rms },
  'final layer norm with bias': { finalNorm: { ...layerNorm, weight: 'final.weight', bias: 'final.bias' } },
  'unembedding with bias': { unembed: { weight: 'head', bias: 'head_bias' } },
  'unembedding stored the other way round': { unembed: { weight: 'head', layout: 'in_out' } },
  'scaled logits': { unembed: { scale: 0.25 } },
  'soft capped logits': { unembed: { softCap: 3 } },
  'scaled and soft capped logits': { unembed: { scale: 2, softCap: 3 } },
}

describe.each(Object.entries(cases))('%s', (_, options) => {
  test('over a whole context', async () => {
    const model = await modelOf(options)
    const inputIds = [ids, ids.toReversed()]
    const fast = await runModel({ model, inputIds, captures: 'all', pool })
    const slow = await runModel({ model, inputIds, captures: 'all', runtime: 'oracle' })
    expect(fast.map(({ name }) => name)).toEqual(['logits', ...model.hookPoints])
    fast.forEach(({ name, data }, i) => {
      expect(largestDifference(data, slow[i].data), name).toBeLessThan(3e-5)
    })
    model.weights.close()
  })

  test('behind a cache', async () => {
    const model = await modelOf(options)
    const whole = runOracle({ model, inputIds: ids }).logits!
    const stepper = await openStepper({ model, pool, capacity: length })
    const cache = emptyOracleCache()
    let end = 0
    for (const count of steps) {
      const next = ids.slice(end, end + count)
      end += count
      const expected = whole.data.subarray((end - 1) * vocab, end * vocab)
      const slow = runOracle({ model, inputIds: next, cache }).logits!.data
      expect(largestDifference(slow, expected), `oracle, token ${end}`).toBeLessThan(1e-10)
      expect(largestDifference(await stepper.next(next), expected), `token ${end}`).toBeLessThan(3e-5)
    }
    expect(end).toBe(length)
    await stepper.close()
    model.weights.close()
  })
})

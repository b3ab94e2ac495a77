// Single operations of the recorded runtime against the oracle's, beyond the goldens: whole curves,
// long contexts in uneven blocks, scores far apart.
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { largestDifference, openFixture, temporaryFolder } from '../../testing/model_support.ts'
import { activations } from '../ops.ts'
import { runModel } from '../run.ts'
import type { WeightStore } from '../weights.ts'
import { onnxOps } from './onnx.ts'
import { attention, causalBlocks } from './onnx_attention.ts'
import { oracleOps } from './oracle.ts'
import { matrix } from './oracle_matrix.ts'
import { createTape, type Tape, type Value } from './tape.ts'

const cache = temporaryFolder()
let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 1 })
})
afterAll(async () => {
  await pool.close()
  cache.remove()
})

const noWeights: WeightStore = {
  folder: '',
  bytes: 0,
  info: name => {
    throw new Error(name)
  },
  readF32: () => new Float32Array(),
  close: () => {},
}

/** Records with inputs of the given widths, runs `rows` rows, returns the result. */
async function compute(options: {
  rows: number
  inputs: Float32Array[]
  record: (tape: Tape, inputs: Value[]) => Value
  width: number
}): Promise<Float32Array> {
  const { rows, inputs, record, width } = options
  const tape = createTape()
  const values = inputs.map((data, i) => tape.input(`x${i}`, 'float32', [rows, data.length / rows]))
  const output = { name: 'y', value: record(tape, values), dtype: 'float32' as const, shape: [rows, width] }
  const session = await pool.session({ graph: tape.emit({ outputs: [output], weights: noWeights }).bytes })
  const bytes = (rows * width + inputs.reduce((sum, data) => sum + data.length, 0)) * 4 + 4096
  const memory = await pool.memory({ bytes })
  const view = (offset: number, n: number) => ({
    memory: memory.id,
    offset,
    dtype: 'float32' as const,
    shape: [rows, n],
  })
  const places = inputs.map((data, i) => {
    const offset = memory.alloc(data.byteLength)
    memory.f32(offset, data.length).set(data)
    return [`x${i}`, view(offset, data.length / rows)] as const
  })
  const y = memory.alloc(rows * width * 4)
  await pool.run([[{ session, inputs: Object.fromEntries(places), outputs: { y: view(y, width) } }]])
  const result = Float32Array.from(memory.f32(y, rows * width))
  await pool.closeSession(session)
  await pool.release(memory)
  return result
}

const oracle = oracleOps({ weights: noWeights, inputIds: [], nCtx: 0 })

test.each(activations)('%s over −12 to 12', async kind => {
  const model = await openFixture('llama', cache.path)
  const x = Float32Array.from({ length: 4001 }, (_, i) => -12 + (24 * i) / 4000)
  const y = await compute({
    rows: 1,
    inputs: [x],
    width: x.length,
    record(tape, [value]) {
      const none = tape.constant(new BigInt64Array(1), [1])
      const tokens = {
        inputIds: none,
        positions: none,
        rotaryPositions: none,
        contexts: 1,
        length: 1,
        blocks: () => [],
        farthest: 1,
      }
      return onnxOps({ tape, dModel: model.config.dModel, tokens }).activation(value, kind)
    },
  })
  const expected = oracle.activation(matrix(1, x.length, Float64Array.from(x)), kind)
  expect(largestDifference(y, expected.data)).toBeLessThan(1e-5)
  model.weights.close()
})

test.each([
  { length: 1, heads: 2, kvHeads: 1, spread: 1 },
  { length: 33, heads: 4, kvHeads: 2, spread: 1 },
  { length: 70, heads: 4, kvHeads: 4, spread: 1 },
  { length: 600, heads: 2, kvHeads: 1, spread: 1 },
  // Scores hundreds apart: one key takes all, the others are beyond float32.
  { length: 70, heads: 4, kvHeads: 2, spread: 30 },
])('attention over $length tokens, $heads heads, $kvHeads key heads, spread $spread', async shape => {
  const { length, heads, kvHeads, spread } = shape
  const dHead = 8
  const contexts = 2
  const rows = contexts * length
  const draw = (n: number, phase: number) =>
    Float32Array.from({ length: n }, (_, i) => spread * Math.sin(phase + i * i * 0.37))
  const inputs = [
    draw(rows * heads * dHead, 1),
    draw(rows * kvHeads * dHead, 2),
    draw(rows * kvHeads * dHead, 3),
  ]
  const settings = { layer: 0, heads, kvHeads, dHead, scale: 0.3 }
  const z = await compute({
    rows,
    inputs,
    width: heads * dHead,
    record: (tape, [q, k, v]) =>
      attention({ tape, contexts, q, k, v, blocks: causalBlocks({ tape, length }), settings }),
  })
  for (let context = 0; context < contexts; context++) {
    const part = (data: Float32Array) => {
      const width = data.length / rows
      const from = context * length * width
      return matrix(length, width, Float64Array.from(data.subarray(from, from + length * width)))
    }
    const [q, k, v] = inputs.map(part)
    const expected = oracle.attention(q, k, v, settings)
    const found = z.subarray(context * length * heads * dHead, (context + 1) * length * heads * dHead)
    expect(largestDifference(found, expected.data)).toBeLessThan(1e-5 * spread * spread)
  }
})

test('a whole context of 128 tokens agrees on both runtimes', async () => {
  for (const name of ['llama', 'gpt2']) {
    const model = await openFixture(name, cache.path)
    const inputIds = [Array.from({ length: 128 }, (_, i) => (i * 37 + 11) % 160)]
    const cpu = await runModel({ model, inputIds, captures: 'all', pool })
    const slow = await runModel({ model, inputIds, captures: 'all', runtime: 'oracle' })
    cpu.forEach((tensor, i) => {
      expect(largestDifference(tensor.data, slow[i].data), tensor.name).toBeLessThan(1e-5)
    })
    model.weights.close()
  }
})

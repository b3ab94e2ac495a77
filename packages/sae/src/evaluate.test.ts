// Evaluation against a plain recount, over a model whose loss at a token is the largest |x_j| there: so what a
// position's loss is shows what was put in its place.
import { type Lanes, openLanes } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ContextLosses, type EvaluateMember, evaluateSaes } from './evaluate.ts'
import { createTable, randomContexts, type Table } from './table_forward.ts'
import { untiedWeights } from './topk_learner/test_support.ts'
import { topk } from './topk_learner/topk.ts'

const dIn = 12
const shape = { dIn, dSae: 40 }
const k = 4
const vocabulary = 60
const contextSize = 8
const contexts = 75
const contextsPerCall = 4
const hook = 'a'

let lanes: Lanes
let table: Table
beforeAll(async () => {
  lanes = await openLanes({ count: 2 })
  table = await createTable({ lanes, vocabulary, dIn, hooks: [hook], contextSize })
})
afterAll(() => lanes.close())

const source = randomContexts({ vocabulary, contextSize, contexts })

/** From the hook point to a loss: max_j |x_j| at each position. */
async function largestValue(): Promise<{ suffix: EvaluateMember['suffix']; close(): Promise<void> }> {
  const most = contexts * contextSize
  const memory = await lanes.memory({ bytes: most * (dIn + 1) * 4 + 256 })
  const [x, loss] = [memory.alloc(most * dIn * 4), memory.alloc(most * 4)]
  const place = (offset: number) => ({ memory: memory.id, offset })
  const suffix: EvaluateMember['suffix'] = {
    frontier: [],
    outputs: [{ name: 'token_loss', width: 1 }],
    tasks({ contexts: given, places }) {
      const rows = given * contextSize
      return [
        [
          { copy: { from: places[hook], to: place(x), count: rows, width: dIn } },
          { kernel: 'maxAbsRows', memory: memory.id, args: [x, rows, dIn, loss] },
          { copy: { from: place(loss), to: places.token_loss, count: rows, width: 1 } },
        ],
      ]
    },
  }
  return { suffix, close: () => lanes.release(memory) }
}

const largest = (row: Float32Array) => row.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

/** Everything again, a token at a time, from the definitions. */
function recount(sae: EvaluateMember['sae'], ceContexts: number) {
  const found = { tokens: 0, error: 0, firing: 0, fired: new Set<number>(), ce: [0, 0, 0], ceTokens: 0 }
  const rows: Float32Array[] = []
  const ids = new Int32Array(contextSize)
  const mask = new Uint8Array(contextSize)
  const config = topk.config({ k }, { shape, trainTokens: 1 })
  for (let context = 0; context < contexts; context++) {
    source.read({ first: context, count: 1, ids, mask })
    ids.forEach((id, t) => {
      if (mask[t] === 0) return
      const x = table.rows.slice(id * dIn, (id + 1) * dIn)
      const { featureActs, reconstruction } = topk.infer({ weights: sae.weights, shape, config, x })
      rows.push(x)
      found.tokens++
      found.error += reconstruction.reduce((sum, value, j) => sum + (value - x[j]) ** 2, 0)
      featureActs.forEach((value, latent) => {
        if (value <= 0) return
        found.firing++
        found.fired.add(latent)
      })
      // The last position of a context predicts nothing.
      if (context >= ceContexts || t === contextSize - 1) return
      found.ceTokens++
      found.ce[0] += largest(x)
      found.ce[1] += largest(Float32Array.from(reconstruction))
    })
  }
  const mean = Float64Array.from(
    { length: dIn },
    (_, j) => rows.reduce((sum, x) => sum + x[j], 0) / rows.length,
  )
  const variance = rows.reduce((sum, x) => sum + mean.reduce((s, m, j) => s + (x[j] - m) ** 2, 0), 0)
  return { ...found, fvu: found.error / variance }
}

test('figures are those of the definitions, over the tokens that count', async () => {
  const sae = { shape, k, weights: untiedWeights({ shape, seed: 4 }) }
  const { suffix, close } = await largestValue()
  const ceContexts = 41
  const seen: { context: number; losses: ContextLosses }[] = []
  const [one, two] = await evaluateSaes({
    lanes,
    saes: [
      { sae, hook, suffix },
      { sae: { ...sae, weights: untiedWeights({ shape, seed: 5 }) }, hook, suffix },
    ],
    prefix: table.forward,
    contextsPerCall,
    source,
    split: 'held_out',
    maxCeTokens: ceContexts * contextSize,
    onContext: (member, losses) => member === 0 && seen.push({ context: losses.context, losses }),
  })
  await close()
  const wanted = recount(sae, ceContexts)
  expect(one).toMatchObject({ split: 'held_out', tokens: contexts * (contextSize - 1) })
  expect(one.tokens).toBe(wanted.tokens)
  expect(one.fvu).toBeCloseTo(wanted.fvu, 5)
  expect(one.mse).toBeCloseTo(wanted.error / wanted.tokens, 4)
  expect(one.l0).toBe(wanted.firing / wanted.tokens)
  expect(one.dead_fraction).toBe((shape.dSae - wanted.fired.size) / shape.dSae)
  expect(one.density_histogram?.reduce((sum, count) => sum + count, 0)).toBe(shape.dSae)
  expect(one.ce_tokens).toBe(wanted.ceTokens)
  expect(one.ce_clean).toBeCloseTo(wanted.ce[0] / wanted.ceTokens, 5)
  expect(one.ce_spliced).toBeCloseTo(wanted.ce[1] / wanted.ceTokens, 5)
  expect(one.ce_zero).toBe(0)
  expect(one.delta_ce).toBeCloseTo(one.ce_spliced! - one.ce_clean!, 12)
  expect(two.fvu).not.toBe(one.fvu)

  expect(seen.map(({ context }) => context)).toEqual(Array.from({ length: ceContexts }, (_, i) => i))
  for (const { losses } of seen) {
    expect([...losses.scored]).toEqual([0, 1, 1, 1, 1, 1, 1, 0])
    // The masked first position keeps the model's own activation, also where the others are zeroed.
    expect(losses.spliced[0]).toBe(losses.clean[0])
    expect(losses.zero[0]).toBe(losses.clean[0])
    expect(losses.clean[0]).toBeGreaterThan(0)
  }
})

test('a perfect dictionary loses nothing', async () => {
  // Two latents for each coordinate, +e_j and −e_j: with k = d_in every activation is written exactly.
  const wide = { dIn, dSae: 2 * dIn }
  const unit = new Float32Array(wide.dSae * dIn)
  for (let i = 0; i < wide.dSae; i++) unit[i * dIn + (i % dIn)] = i < dIn ? 1 : -1
  const zeros = (n: number) => new Float32Array(n)
  const weights = { wEnc: unit, wDec: unit, bEnc: zeros(wide.dSae), bDec: zeros(dIn) }
  const { suffix, close } = await largestValue()
  const saes = [{ sae: { shape: wide, k: dIn, weights }, hook, suffix }]
  const [perfect] = await evaluateSaes({
    lanes,
    saes,
    prefix: table.forward,
    contextsPerCall,
    source,
    split: 'train',
  })
  await close()
  expect(perfect).toMatchObject({ fvu: 0, mse: 0, delta_ce: 0, ce_score: 1, relative_reconstruction_bias: 1 })
})

test('stopped, or without tokens for the cross-entropies, says of each figure what it was counted over', async () => {
  const sae = { shape, k, weights: untiedWeights({ shape, seed: 4 }) }
  const { suffix, close } = await largestValue()
  const common = { lanes, saes: [{ sae, hook, suffix }], prefix: table.forward, contextsPerCall, source }
  const [none] = await evaluateSaes({ ...common, split: 'train', stopped: () => true })
  expect(none).toMatchObject({ tokens: 0, fvu: null, l0: null, ce_tokens: 0, ce_clean: null, delta_ce: null })
  const [reconstructed] = await evaluateSaes({ ...common, split: 'train', maxTokens: 80, maxCeTokens: 0 })
  expect(reconstructed).toMatchObject({ tokens: 70, ce_tokens: 0, ce_spliced: null, ce_score: null })
  expect(reconstructed.fvu).toBeGreaterThan(0)
  await close()
})

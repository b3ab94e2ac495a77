// A wide SAE lies in several memories, a block of latents each. Here small ones do, for the same reason a wide one
// may: whatever the shape and wherever the blocks end, every step has the bits of one memory.
import { type Lanes, openLanes } from '@mistudio/tensor'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { randomStream } from '../random.ts'
import type { Learner, SaeShape } from './families.ts'
import { gaussianBatch, restoreSilence, takeStep, untiedWeights } from './test_support.ts'
import { topk } from './topk.ts'
import { rangeLatents } from './topk_block.ts'

let lanes: Lanes
beforeAll(async () => {
  lanes = await openLanes({ count: 2 })
})
afterAll(() => lanes.close())

const deadAfterTokens = 1000

/**
 * Three memories: two of `perBlock` latents and a last one of as many or fewer, at least 2: a product with one
 * column is another routine of ONNX Runtime, with another order of its sums on some CPUs.
 */
const threeMemories = (perBlock: fc.Arbitrary<number>) =>
  perBlock.chain(latents =>
    fc.record({ perBlock: fc.constant(latents), last: fc.integer({ min: 2, max: latents }) }),
  )

/** Around the strides of the kernels and the rows of one encode call. */
const sizes = fc.record({
  dIn: fc.oneof(fc.constantFrom(1, 4, 8, 31, 32, 33), fc.integer({ min: 1, max: 40 })),
  rows: fc.oneof(fc.constantFrom(1, 255, 256, 257), fc.integer({ min: 1, max: 300 })),
  k: fc.integer({ min: 1, max: 12 }),
  kAux: fc.integer({ min: 1, max: 40 }),
  auxCoefficient: fc.constantFrom(0, 0.5),
  auxNormalisation: fc.constantFrom('variance' as const, 'none' as const),
  auxRelu: fc.boolean(),
  deadShare: fc.constantFrom(0, 0.1, 0.6),
  /** Share of latents that encode as an earlier one does: their ties cross the blocks. */
  twins: fc.constantFrom(0, 0.4),
  seed: fc.integer({ min: 0, max: 0x7fff_ffff }),
})
type Sizes = typeof sizes extends fc.Arbitrary<infer T> ? T : never

/** The same SAE, batch and history in one memory and in three. */
async function bothWays(
  { dIn, rows, k, deadShare, twins, seed, ...aux }: Sizes,
  { perBlock, last }: { perBlock: number; last: number },
  compare: (learners: { one: Learner; three: Learner; batch: Batch }) => Promise<void>,
) {
  const shape: SaeShape = { dIn, dSae: 2 * perBlock + last }
  const draw = randomStream({ seed, purpose: 'split' })
  const weights = untiedWeights({ shape, seed })
  for (let i = 1; i < shape.dSae; i++) {
    if (draw() >= twins) continue
    const earlier = Math.floor(draw() * i)
    weights.wEnc.copyWithin(i * dIn, earlier * dIn, (earlier + 1) * dIn)
    weights.bEnc[i] = weights.bEnc[earlier]
  }
  const given = { ...aux, k: Math.min(k, shape.dSae), deadAfterTokens }
  const config = topk.config(given, { shape, trainTokens: 10_000 })
  const silent = Float64Array.from({ length: shape.dSae }, () => (draw() < deadShare ? deadAfterTokens : 0))
  const { batch, memory } = await gaussianBatch({ lanes, rows, dIn, seed })
  const open = async (latentsPerBlock: number) => {
    const options = { lanes, shape, config, batchSize: rows, seed, weights, latentsPerBlock }
    const learner = await topk.learner(options)
    restoreSilence(learner, silent, deadAfterTokens)
    return learner
  }
  const one = await open(shape.dSae)
  const three = await open(perBlock)
  try {
    await compare({ one, three, batch })
  } finally {
    for (const learner of [one, three]) await learner.close()
    await lanes.release(memory)
  }
}
type Batch = Awaited<ReturnType<typeof gaussianBatch>>['batch']

test('a step over three memories has the bits of one, wherever the blocks end', async () => {
  let auxSeen = 0
  await fc.assert(
    fc.asyncProperty(sizes, threeMemories(fc.integer({ min: 2, max: 25 })), (options, blocks) =>
      bothWays(options, blocks, async ({ one, three, batch }) => {
        const wanted = await takeStep(one, batch)
        const found = await takeStep(three, batch)
        expect(found.loss).toEqual(wanted.loss)
        if (wanted.loss.aux > 0) auxSeen++
        expect(three.sums()).toEqual(one.sums())
        for (const [name, data] of wanted.state) {
          // Its gradient is a float64 sum over all latents, which other ends of blocks may round otherwise.
          if (name.startsWith('b_dec')) continue
          expect(found.state.get(name), name).toEqual(data)
        }
        expect(Math.abs(found.norm - wanted.norm)).toBeLessThanOrEqual(1e-12 * wanted.norm)
        const [bDec, wantedBDec] = [found, wanted].map(({ state }) => state.get('b_dec')!)
        wantedBDec.forEach((value, j) => {
          expect(Math.abs(bDec[j] - value)).toBeLessThanOrEqual(1e-6)
        })
      }),
    ),
    { numRuns: 60 },
  )
  expect(auxSeen).toBeGreaterThan(5)
})

test('blocks that end where a range of latents does, as those of a run, stay bit-equal over many steps', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, threeMemories(fc.constant(rangeLatents)), (options, blocks) =>
      bothWays(options, blocks, async ({ one, three, batch }) => {
        for (const learner of [one, three]) {
          await learner.initialise(batch)
          for (let step = 0; step < 4; step++) await takeStep(learner, batch)
        }
        expect(three.loss()).toEqual(one.loss())
        for (const [name, data] of one.state()) expect(three.state().get(name), name).toEqual(data)
      }),
    ),
    { numRuns: 10 },
  )
})

test('a NaN in the weights of any memory makes the loss NaN', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, threeMemories(fc.integer({ min: 2, max: 25 })), fc.nat(), (options, blocks, at) =>
      bothWays(options, blocks, async ({ three, batch }) => {
        const state = new Map(three.state())
        const bias = state.get('b_enc')!.slice()
        bias[at % bias.length] = Number.NaN
        three.restore(state.set('b_enc', bias))
        expect((await takeStep(three, batch)).loss.loss).toBeNaN()
      }),
    ),
    { numRuns: 20 },
  )
})

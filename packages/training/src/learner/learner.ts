// The fast learner: a plan on the worker pool. While few latents fire, a step is one dense product (the encode) and
// lists of hits; while many do, five products. Work on single hits is done on the coordinating thread (rules.ts).
// testing/oracle/ is the oracle of every formula. The phases: step/step_*.ts; what they share: engine.ts.

import type { BatchSums } from '@mistudio/sae'
import type { BatchSource, Learner, LearnerOptions } from '../learner.ts'
import type { Block } from './block.ts'
import { countDead, createEngine, type Engine, isDead, spreadBias } from './engine.ts'
import { readWeights, restoreParameters, setWeights, takeTensor, writeParameters } from './parameters.ts'
import { resampleLatents } from './resample.ts'
import { decode } from './step/step_decode.ts'
import { encode } from './step/step_encode.ts'
import { afterStep, gradients, update } from './step/step_gradients.ts'

export { learnerBytes } from './block.ts'

export async function createLearner(options: LearnerOptions): Promise<Learner> {
  const e = await createEngine(options)
  const { pool, plan, blocks, sharedBuffers, parameters, memory, counters, tokensSinceFired, batchSize } = e
  const { dIn, dSae, dOut } = plan.shape
  return {
    plan,
    async load(batch: BatchSource) {
      e.step.separate = batch.targets !== undefined
      await e.loader.load(batch)
    },
    encode: dynamics => encode(e, dynamics),
    decode: () => decode(e),
    gradients: () => gradients(e),
    update: rates => update(e, rates),
    afterStep: async () => afterStep(e),
    loss: () => e.step.loss,
    sums: () => batchSums(e),
    loaded() {
      const y = sharedBuffers.memory.f32(sharedBuffers.y, batchSize * dOut).slice()
      if (!sharedBuffers.ownTarget || !e.step.separate) return { x: y, y }
      const [first] = blocks
      const whole = first.dIn === dIn
      const x = whole
        ? first.memory.f32(first.at.x, batchSize * dIn).slice()
        : joinInputs(blocks, dIn, batchSize)
      return { x, y }
    },
    resample({ seed }) {
      if (countDead(e) === null) return 0
      const { levels, separate } = e.step
      const squared = sharedBuffers.squared[levels.length - 1]
      const dead = (latent: number) => isDead(e, latent)
      const renewed = resampleLatents({
        plan,
        blocks,
        sharedBuffers,
        parameters,
        dead,
        batchSize,
        squared,
        seed,
        separate,
      })
      for (const i of renewed) tokensSinceFired[i] = 0
      return renewed.length
    },
    weights: () => readWeights(parameters),
    setWeights(weights) {
      setWeights(parameters, weights)
      spreadBias(e)
    },
    threshold: () => (memory.threshold < 0 ? null : memory.threshold),
    state() {
      const state = writeParameters(parameters)
      state.set('tokens_since_fired', tokensSinceFired)
      state.set('counters', Float64Array.of(counters.steps, counters.tokensSeen))
      state.set('ema_threshold', Float64Array.of(memory.threshold))
      state.set('annealing', Float64Array.of(memory.factor, memory.p))
      state.set(
        'path',
        Float64Array.of(memory.dense ? 1 : 0, Number.isFinite(memory.guess) ? memory.guess : -1),
      )
      return state
    },
    restore(state) {
      restoreParameters(parameters, state)
      tokensSinceFired.set(takeTensor(state, 'tokens_since_fired', dSae))
      ;[counters.steps, counters.tokensSeen] = takeTensor(state, 'counters', 2)
      ;[memory.threshold] = takeTensor(state, 'ema_threshold', 1)
      ;[memory.factor, memory.p] = takeTensor(state, 'annealing', 2)
      const [isDense, guess] = takeTensor(state, 'path', 2)
      memory.dense = isDense === 1
      memory.guess = guess < 0 ? Number.NaN : guess
      spreadBias(e)
    },
    async close() {
      await e.loader.close()
      for (const block of blocks) await pool.release(block.memory)
      await e.products.close()
      await e.screen?.close()
    },
  }
}

function batchSums(e: Engine): BatchSums {
  const { batchSize, blocks } = e
  const s = e.step
  const { dSae, dOut } = e.plan.shape
  const histogram = new Float64Array(2 + Math.floor(Math.log2(dSae)))
  for (let r = 0; r < batchSize; r++) {
    const count = s.rowCounts.reduce((total, counts) => total + counts[r], 0)
    histogram[count === 0 ? 0 : 1 + Math.floor(Math.log2(count))]++
  }
  const fired = new Float64Array(dSae)
  blocks.forEach(({ lo }, b) => {
    fired.set(s.latentSums[b].fired, lo)
  })
  const [reconstructionSquares, product, cosine, normRatio] = s.totals
  return {
    rows: batchSize,
    sum: s.errorColumns.slice(0, dOut),
    sumSquares: s.errorColumns.slice(dOut, 2 * dOut),
    squaredError: s.errorColumns.slice(2 * dOut),
    reconstructionSquares,
    product,
    cosine,
    normRatio,
    firing: s.firing,
    l0Histogram: histogram,
    fired,
  }
}

/** x of groups that read columns of their own. */
function joinInputs(blocks: readonly Block[], dIn: number, rows: number): Float32Array {
  const x = new Float32Array(rows * dIn)
  for (const { memory, at, input, dIn: width } of blocks) {
    const part = memory.f32(at.x, rows * width)
    for (let r = 0; r < rows; r++) x.set(part.subarray(r * width, (r + 1) * width), r * dIn + input[0])
  }
  return x
}

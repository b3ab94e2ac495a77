// The last phases: gradients of matrices and vectors with their norm, one Adam step, and the count of what fired.
import type { Task } from '@mistudio/tensor'
import type { AdamRates } from '../../learner.ts'
import { sumChunks } from '../decode.ts'
import { type Engine, spreadBias } from '../engine.ts'
import { type GradientOptions, listHits, rangeCount, sumGradients } from '../gradients.ts'
import { stepVectors, vectorSquares } from '../parameters.ts'
import { call, chunkRows, pieces, rangeLatents } from '../pieces.ts'
import { denseGradients } from './dense.ts'

export async function gradients(e: Engine): Promise<number> {
  const { pool, plan, batchSize, blocks, sharedBuffers, products, parameters, hits, normGradient } = e
  const s = e.step
  const { dOut } = e.plan.shape
  const outer = plan.preAct !== null && !s.dense
  const given: GradientOptions = {
    pool,
    lists: e.lists,
    plan,
    blocks,
    hits,
    levels: s.levels,
    dense: s.dense,
    scale: s.rates.scale,
    aux: s.aux,
    batchSize,
    norms: normGradient,
    outer,
  }
  if (s.dense) await denseGradients({ plan, products, batchSize, pool, blocks })
  else await listHits(given)
  await sumGradients(given)
  if (sharedBuffers.skip !== undefined) await skipGradient(e)
  vectorGradients(e)
  let squares = vectorSquares(parameters)
  for (const { memory: home, at, latents } of blocks)
    for (const value of home.f64(at.squares, latents)) squares += value
  if (sharedBuffers.skip !== undefined)
    for (const norm of sharedBuffers.memory.f64(sharedBuffers.skip.norms, dOut)) squares += norm * norm
  return Math.sqrt(squares)
}

async function skipGradient(e: Engine): Promise<void> {
  const { pool, batchSize, blocks, sharedBuffers, products } = e
  const s = e.step
  const { dIn, dOut } = e.plan.shape
  const { g, norms } = sharedBuffers.skip!
  const rows = (offset: number, columns: number) => ({ offset, rows: batchSize, columns })
  const [{ at }] = blocks
  await pool.run([
    [
      products.transposedTimes(sharedBuffers.memory, rows(sharedBuffers.errors[0], dOut), rows(at.x, dIn), g),
      call(sharedBuffers.memory, 'scaleRange', g, dOut * dIn, s.rates.scale),
      call(sharedBuffers.memory, 'rowNorms', g, dOut, dIn, norms),
    ],
  ])
}

/** b_dec: Σ dL/dx̂ − Σ_i (dL/dπ_i)·W_enc,i if the encoder reads x − b_dec; thresholds and gates: their sums. */
function vectorGradients(e: Engine): void {
  const { plan, batchSize, blocks, sharedBuffers, parameters } = e
  const s = e.step
  const { dOut } = e.plan.shape
  const { selection } = e.plan
  const chunks = Math.ceil(batchSize / chunkRows)
  const [bDec] = parameters.bDec.gradient
  const errors = sumChunks(sharedBuffers.memory.f64(sharedBuffers.sums0, chunks * dOut), dOut)
  for (let j = 0; j < dOut; j++) bDec[j] = s.rates.scale * errors[j]
  if (selection.kind === 'gated' && !selection.frozenDecoder) {
    const second = sumChunks(sharedBuffers.memory.f64(sharedBuffers.sums2, chunks * dOut), dOut)
    for (let j = 0; j < dOut; j++) bDec[j] += s.rates.scale * second[j]
  }
  if (plan.centred) {
    for (const block of blocks) {
      const { memory: home, at, dIn: width, input } = block
      const sums = sumChunks(home.f64(at.latentSums, rangeCount(block, s.levels) * width), width)
      for (let j = 0; j < width; j++) bDec[input[0] + j] -= sums[j]
    }
  }
  for (const { name, gradient } of parameters.vectors) {
    if (name === 'bDec') continue
    gradient.forEach((slopes, b) => {
      const { threshold, scale, magnitude } = s.latentSums[b]
      slopes.set(name === 'threshold' ? threshold : name === 'rMag' ? scale : magnitude)
    })
  }
  if (selection.kind !== 'gated') return
  // b_enc is the gate's bias: it gets nothing from the magnitude path, which gBEnc includes for b_dec.
  blocks.forEach(({ memory: home, at, latents }, b) => {
    const [bias, squares, touched] = [
      home.f32(at.gBEnc, latents),
      home.f64(at.squares, latents),
      home.u8(at.touched, latents),
    ]
    const { gate } = s.latentSums[b]
    for (let i = 0; i < latents; i++) {
      if (touched[i] === 0) continue
      squares[i] += gate[i] ** 2 - bias[i] ** 2
      bias[i] = gate[i]
    }
  })
}

export async function update(e: Engine, adam: AdamRates): Promise<void> {
  const { pool, plan, blocks, sharedBuffers, parameters, counters } = e
  const { dIn, dOut } = e.plan.shape
  counters.steps++
  const { learningRate, beta1, beta2, epsilon, clipScale } = adam
  const correction1 = 1 - beta1 ** counters.steps
  const correction2 = 1 - beta2 ** counters.steps
  const given = [learningRate, beta1, beta2, epsilon, correction1, correction2, clipScale]
  const unit = plan.decoder === 'unit' ? 1 : 0
  const tasks = blocks.flatMap(({ memory: home, at, latents, dIn: wide, dOut: width }) =>
    pieces(latents, rangeLatents).map(({ start, length }): Task => {
      const end = start + length
      const { moments, touched } = at
      return [
        call(home, 'adamRows', at.wDec, at.gDec, ...moments.wDec, touched, start, end, width, ...given, unit),
        call(home, 'adamRows', at.wEnc, at.gEnc, ...moments.wEnc, touched, start, end, wide, ...given, 0),
        call(home, 'adamRows', at.bEnc, at.gBEnc, ...moments.bEnc, touched, start, end, 1, ...given, 0),
      ]
    }),
  )
  if (sharedBuffers.skip !== undefined) {
    const { w, g, moments } = sharedBuffers.skip
    tasks.push([call(sharedBuffers.memory, 'adamRows', w, g, ...moments, 0, 0, dOut, dIn, ...given, 0)])
  }
  await pool.run(tasks)
  stepVectors(parameters, adam, counters.steps)
  spreadBias(e)
}

export async function afterStep(e: Engine): Promise<void> {
  const { batchSize, blocks, tokensSinceFired, counters, memory } = e
  const s = e.step
  const { selection } = e.plan
  counters.tokensSeen += batchSize
  blocks.forEach(({ lo, latents }, b) => {
    const { fired } = s.latentSums[b]
    for (let i = 0; i < latents; i++) {
      tokensSinceFired[lo + i] = fired[i] > 0 ? 0 : tokensSinceFired[lo + i] + batchSize
    }
  })
  if (selection.kind !== 'batchtopk' || s.least <= 0) return
  const { thresholdDecay: decay } = selection
  memory.threshold = memory.threshold < 0 ? s.least : decay * memory.threshold + (1 - decay) * s.least
}

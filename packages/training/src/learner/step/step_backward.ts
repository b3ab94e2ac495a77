// Between reconstruction and weight gradients: coefficients by latent, gradients of single hits, thresholds, gates and
// norms, and the loss with its terms.
import type { Block } from '../block.ts'
import { countDead, type Engine, isDead, penaltyNorm, sumOf, valuesOf } from '../engine.ts'
import { chunkRows, denseLatents, pieces } from '../pieces.ts'
import { backward, type LatentSums } from '../rules.ts'
import { readBackward } from './dense.ts'

/** Penalty and pre-act coefficients by latent, and p-annealing's factor on λ. */
export function prepareBackward(e: Engine): void {
  const { plan, batchSize, blocks, memory } = e
  const s = e.step
  if (plan.penalty?.kind === 'lp') {
    if (memory.p >= 0 && memory.p !== s.dynamics.p) {
      const ratio = lpSum(e, memory.p) / lpSum(e, s.dynamics.p)
      if (ratio > 0 && Number.isFinite(ratio)) memory.factor *= ratio
    }
    memory.p = s.dynamics.p
  }
  s.rates = { ...s.rates, penalty: s.rates.penalty * memory.factor }
  const dead = countDead(e) !== null
  for (const { memory: home, at, latents, lo } of blocks) {
    const [norms, penalty, preAct] = [at.norms, at.penalty, at.preAct].map(vector =>
      home.f32(vector, latents),
    )
    for (let i = 0; i < latents; i++) {
      // The tanh kernel already multiplies by n.
      penalty[i] = s.rates.penalty * (plan.penalty?.kind === 'tanh' ? 1 : penaltyNorm(e, norms, i))
      const open = plan.preAct !== null && (plan.preAct.on === 'all' || (dead && isDead(e, lo + i)))
      preAct[i] = open ? (plan.preAct!.coefficient * norms[i]) / batchSize : 0
    }
  }
}

/** Σ f^p·n over the batch. */
function lpSum(e: Engine, p: number): number {
  const { blocks, hits } = e
  const s = e.step
  let sum = 0
  blocks.forEach((block, b) => {
    const { norms } = valuesOf(e, block)
    if (s.dense) {
      const values = block.memory.f32(block.at.dense!.f, 0)
      sum += densePowers(e, block, values.buffer, p, norms)
      return
    }
    const { value, index, count } = hits[b]
    for (let h = 0; h < count; h++) if (value[h] > 0) sum += value[h] ** p * norms[index[h]]
  })
  return sum
}

/** Rare: the exponent changes while the step is dense. */
function densePowers(
  e: Engine,
  block: Block,
  buffer: ArrayBufferLike,
  p: number,
  norms: Float32Array,
): number {
  const { batchSize } = e

  let sum = 0
  const rows = Math.ceil(batchSize / chunkRows) * chunkRows
  for (const { start, length } of pieces(block.latents, denseLatents)) {
    const tile = new Float32Array(buffer, block.at.dense!.f + rows * start * 4, batchSize * length)
    for (let at = 0; at < tile.length; at++)
      if (tile[at] > 0) sum += tile[at] ** p * norms[start + (at % length)]
  }
  return sum
}

/** Gradients of single hits and vectors, and of decoder norms. @returns the pre-act loss */
export function throughHits(e: Engine): number {
  const { plan, batchSize, blocks, hits, normGradient } = e
  const s = e.step
  let preActLoss = 0
  blocks.forEach((block, b) => {
    const { memory: home, at, latents } = block
    const sums = s.latentSums[b]
    const preAct = home.f32(at.preAct, latents)
    if (s.dense) readBackward(block, { plan, batchSize, rates: s.rates, p: s.dynamics.p, sums })
    else {
      backward({
        plan,
        hits: hits[b],
        values: valuesOf(e, block),
        sums,
        rates: s.rates,
        p: s.dynamics.p,
        preAct: plan.preAct === null ? undefined : preAct,
      })
    }
    if (plan.preAct !== null) preActLoss += throughPreAct(e, block, sums, preAct)
    if (normGradient) home.f32(at.normGrad, latents).set(sums.norm)
  })
  return preActLoss
}

/** λ_P·Σ ReLU(θ − π)·n: all rows push a latent alike, except those where it is open (undone in the backward pass). */
function throughPreAct(
  e: Engine,
  { memory: home, at, latents, dIn: width }: Block,
  sums: LatentSums,
  preAct: Float32Array,
): number {
  const { batchSize } = e
  const s = e.step
  const [theta, bEnc, norms, outer] = [at.threshold, at.bEnc, at.norms, at.outer].map(v =>
    home.f32(v, latents),
  )
  const wEnc = home.f32(at.wEnc, latents * width)
  const mean = home.f32(at.inputTotal, width)
  let total = 0
  for (let i = 0; i < latents; i++) {
    outer[i] = 0
    if (preAct[i] === 0) continue
    let off = sums.openPre[i]
    if (!s.dense) {
      let pi = bEnc[i]
      for (let j = 0; j < width; j++) pi += wEnc[i * width + j] * mean[j]
      off = (batchSize - sums.open[i]) * theta[i] - (pi * batchSize - sums.openPre[i])
      sums.threshold[i] += preAct[i] * (batchSize - sums.open[i])
      outer[i] = -preAct[i] * batchSize
    }
    total += preAct[i] * off
    sums.norm[i] += (preAct[i] / norms[i]) * off
  }
  return total
}

export function measure(
  e: Engine,
  terms: { squaredError: number; aux: number; gateAux: number; preAct: number },
): void {
  const { batchSize, sharedBuffers } = e
  const s = e.step
  const { squaredError, aux: auxTerm, gateAux, preAct } = terms
  let reconstructed = 0
  for (const [level, { weight }] of s.levels.entries()) {
    reconstructed +=
      (weight * sumOf(sharedBuffers.memory.f64(sharedBuffers.squared[level], batchSize))) / batchSize
  }
  let active = 0
  for (const { activation } of s.latentSums) for (const value of activation) active += value
  const sparsity = penaltyTerm(e)
  s.loss = {
    mse: squaredError / batchSize,
    reconstruction: reconstructed,
    sparsity,
    aux: auxTerm,
    preAct,
    gateAux,
    loss: reconstructed + sparsity + auxTerm + preAct + gateAux,
    l0: s.firing / batchSize,
    l1: active / batchSize,
    deadLatents: countDead(e),
  }
}

function penaltyTerm(e: Engine): number {
  const { plan, batchSize, blocks } = e
  const s = e.step
  const { penalty } = plan
  if (penalty === null) return 0
  const l0 = s.firing / batchSize
  if (penalty.kind === 'l0') return penalty.coefficient * s.dynamics.sparsity * l0
  if (penalty.kind === 'target_l0')
    return penalty.coefficient * s.dynamics.sparsity * (l0 / penalty.target - 1) ** 2
  let sum = 0
  blocks.forEach((block, b) => {
    const { norms } = valuesOf(e, block)
    s.latentSums[b].penalty.forEach((value, i) => {
      sum += value * (penalty.kind === 'tanh' ? 1 : norms[i])
    })
  })
  return s.rates.penalty * sum
}

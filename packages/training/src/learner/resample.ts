// Restarts dead latents (Bricken et al. 2023, "Towards Monosemanticity"), as specified in ../learner.ts.

import { randomStream } from '@mistudio/tensor'
import type { Plan } from '../plan.ts'
import type { Block, SharedBuffers } from './block.ts'
import type { Parameters } from './parameters.ts'

/** @returns the latents restarted, ascending */
export function resampleLatents(options: {
  plan: Plan
  blocks: readonly Block[]
  sharedBuffers: SharedBuffers
  parameters: Parameters
  /** [d_sae]: whether each latent is dead. */
  dead: (latent: number) => boolean
  batchSize: number
  /** float64 [rows]: the squared errors in the shared buffers. */
  squared: number
  seed: number
  /** Whether targets and inputs are different hook points. */
  separate: boolean
}): number[] {
  const { plan, blocks, sharedBuffers, parameters, dead, batchSize, squared, seed, separate } = options
  const { dOut } = plan.shape
  const draw = randomStream({ seed, purpose: 'resample' })
  const weight = Float64Array.from(sharedBuffers.memory.f64(squared, batchSize))
  const encoderNorm = 0.2 * meanEncoderNorm(blocks, dead)
  const bDec = parameters.bDec.parts[0]
  const renewed: number[] = []
  for (const [b, block] of blocks.entries()) {
    const { memory, at, lo, latents, dIn, output } = block
    const width = output[1] - output[0]
    for (let i = 0; i < latents; i++) {
      if (!dead(lo + i)) continue
      const r = drawRow(weight, draw)
      if (r === undefined) return renewed
      weight[r] = 0
      renewed.push(lo + i)
      const y = sharedBuffers.memory.f32(sharedBuffers.y + (r * dOut + output[0]) * 4, width)
      const target = unit(Float64Array.from(y, (value, j) => value - bDec[output[0] + j]))
      memory.f32(at.wDec + i * width * 4, width).set(target)
      const x = memory.f32(at.x + r * dIn * 4, dIn)
      const direction = separate ? unit(Float64Array.from(x)) : target
      memory.f32(at.wEnc + i * dIn * 4, dIn).set(direction.map(value => value * encoderNorm))
      for (const { name, parts, moments } of parameters.all) {
        if (name === 'bDec' || name === 'wSkip') continue
        const wide = parts[b].length / latents
        for (const moment of moments) moment[b].fill(0, i * wide, (i + 1) * wide)
        if (name === 'bEnc' || name === 'rMag' || name === 'bMag') parts[b][i] = 0
      }
    }
  }
  return renewed
}

/** The first row whose running sum exceeds u times the total; undefined when no row is left. */
function drawRow(weight: Float64Array, draw: () => number): number | undefined {
  const total = weight.reduce((sum, value) => sum + value, 0)
  if (!(total > 0)) return undefined
  const wanted = draw() * total
  let running = 0
  let last: number | undefined
  for (let r = 0; r < weight.length; r++) {
    if (weight[r] === 0) continue
    running += weight[r]
    last = r
    if (running > wanted) return r
  }
  return last
}

/** Mean ‖e_i‖ of the alive latents; of all if none is alive. */
function meanEncoderNorm(blocks: readonly Block[], dead: (latent: number) => boolean): number {
  const sums = { alive: 0, aliveCount: 0, all: 0, allCount: 0 }
  for (const { memory, at, lo, latents, dIn } of blocks) {
    const rows = memory.f32(at.wEnc, latents * dIn)
    for (let i = 0; i < latents; i++) {
      let square = 0
      for (let j = i * dIn; j < (i + 1) * dIn; j++) square += rows[j] ** 2
      const norm = Math.sqrt(square)
      sums.all += norm
      sums.allCount++
      if (dead(lo + i)) continue
      sums.alive += norm
      sums.aliveCount++
    }
  }
  return sums.aliveCount > 0 ? sums.alive / sums.aliveCount : sums.all / sums.allCount
}

function unit(row: Float64Array): Float64Array {
  const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))
  return norm === 0 ? row : row.map(value => value / norm)
}

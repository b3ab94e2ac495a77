// Initialisation: what is drawn, what is fitted to the first batch.

import { groupRows, weightSizes } from '@mistudio/sae'
import { gaussianStream } from '@mistudio/tensor'
import { describe, expect, it } from 'vitest'
import { families } from '../families.ts'
import type { Settings } from '../fields.ts'
import { completeMember } from '../member.ts'
import { activeSubspace } from './active_subspace.ts'
import { fitInitialWeights } from './fit_weights.ts'
import { geometricMedian } from './geometric_median.ts'
import { initialWeights } from './initial_weights.ts'

const width = 16
const hooksOf = {
  one: [['a'], []],
  in_out: [['a'], ['b']],
  several: [['a', 'b'], []],
  layers: [
    ['a', 'b', 'c'],
    ['d', 'e', 'f'],
  ],
} as const

function started(options: { family: string; settings?: Settings; dSae?: number; seed?: number }) {
  const { family, settings = {}, dSae = 96, seed = 3 } = options
  const [inputs, outputs] = hooksOf[families.find(({ name }) => name === family)!.hooks]
  const member = completeMember({
    member: { name: 'm', family, inputs, outputs, dSae, settings },
    widthOf: () => width,
    batchSize: 64,
    totalSteps: 100,
    trainTokens: 6400,
  })
  return { member, weights: initialWeights({ ...member, seed }) }
}

/** Rows with a mean far from zero and an outlier. */
function batch(rows: number, columns: number) {
  const draw = gaussianStream({ seed: 5, purpose: 'rows' })
  return Float32Array.from({ length: rows * columns }, (_, i) => draw() + (i % columns === 0 ? 4 : 0))
}

const norms = (rows: Float32Array, width: number) =>
  Array.from({ length: rows.length / width }, (_, i) =>
    Math.hypot(...rows.subarray(i * width, (i + 1) * width)),
  )

describe('initial weights', () => {
  it('of topk are those of the first version, so that published runs repeat', () => {
    const { weights } = started({ family: 'topk' })
    const draw = gaussianStream({ seed: 3, purpose: 'topk weights' })
    const before = Array.from({ length: 96 }, () => {
      const drawn = Array.from({ length: width }, draw)
      const norm = Math.sqrt(drawn.reduce((sum, value) => sum + value * value, 0))
      return [...Float32Array.from(drawn).map(value => value / norm)]
    })
    expect([...weights.wDec]).toEqual(before.flat())
    expect(weights.wEnc).toEqual(weights.wDec)
  })

  it.each(families.map(({ name }) => name))('of %s have the shapes of its groups and no bias', name => {
    const { member, weights } = started({ family: name })
    const { encoder, decoder } = weightSizes(member.plan.groups)
    expect(weights.wEnc.length).toBe(encoder)
    expect(weights.wDec.length).toBe(decoder)
    expect(weights.bEnc.length).toBe(96)
    expect(weights.bDec.every(value => value === 0)).toBe(true)
    expect(weights.wEnc.some(value => value !== 0)).toBe(true)
  })

  it('set decoder rows to the norm asked for, unit decoders to 1, crosscoders for every hook point', () => {
    expect(norms(started({ family: 'standard' }).weights.wDec, width)[5]).toBeCloseTo(0.1, 6)
    const unit = started({ family: 'standard', settings: { decoder: 'unit', encoder_init_scale: 0.1 } })
    expect(norms(unit.weights.wDec, width)[5]).toBeCloseTo(1, 6)
    expect(norms(unit.weights.wEnc, width)[5]).toBeCloseTo(0.1, 6)
    for (const norm of norms(started({ family: 'crosscoder' }).weights.wDec, width)) {
      expect(norm).toBeCloseTo(0.08, 6)
    }
  })

  it('of a cross-layer transcoder write from each layer to that and all later ones', () => {
    const groups = groupRows(started({ family: 'cross_layer_transcoder' }).member.plan.groups)
    expect(groups.map(({ input, output }) => [input, output])).toEqual([
      [
        [0, 16],
        [0, 48],
      ],
      [
        [16, 32],
        [16, 48],
      ],
      [
        [32, 48],
        [32, 48],
      ],
    ])
  })

  it('have thresholds, gates and a skip where the plan has them, the skip zero and never the identity', () => {
    const { weights } = started({ family: 'jumprelu', settings: { initial_threshold: 0.25 } })
    expect(weights.threshold![7]).toBe(0.25)
    expect(started({ family: 'gated' }).weights.rMag!.length).toBe(96)
    const { wSkip } = started({ family: 'skip_transcoder' }).weights
    expect(wSkip!.length).toBe(width * width)
    expect(wSkip!.every(value => value === 0)).toBe(true)
    expect(started({ family: 'transcoder' }).weights.wSkip).toBeUndefined()
  })

  it('scale a tied encoder by d_in / d_sae where the ratio is asked for', () => {
    const { weights } = started({ family: 'standard', settings: { encoder_init: 'tied_ratio' } })
    expect(weights.wEnc[9]).toBeCloseTo((weights.wDec[9] * width) / 96, 8)
  })

  it('differ between seeds and repeat for one', () => {
    const one = started({ family: 'batchtopk', seed: 1 }).weights.wDec
    expect(started({ family: 'batchtopk', seed: 1 }).weights.wDec).toEqual(one)
    expect(started({ family: 'batchtopk', seed: 2 }).weights.wDec).not.toEqual(one)
  })
})

describe('weights fitted to the first batch', () => {
  const rows = 64
  const fit = (family: string, settings: Settings = {}, dSae = 96) => {
    const { member, weights } = started({ family, settings, dSae })
    const { dIn, dOut } = member.plan.shape
    const x = batch(rows, dIn)
    const y = dIn === dOut ? x : batch(rows, dOut)
    return {
      member,
      x,
      y,
      before: weights,
      weights: fitInitialWeights({ ...member, weights, x, y, rows, seed: 0 }),
    }
  }

  it('start b_dec at zero, the mean or the geometric median', () => {
    expect(fit('topk', { b_dec_init: 'zero' }).weights.bDec[0]).toBe(0)
    const { weights, x } = fit('topk', { b_dec_init: 'mean' })
    const mean = Array.from({ length: rows }, (_, r) => x[r * width]).reduce((a, b) => a + b) / rows
    expect(weights.bDec[0]).toBeCloseTo(mean, 5)
    expect(Math.abs(fit('topk').weights.bDec[0] - 4)).toBeLessThan(0.5)
  })

  it('start a transcoder as sparsify does: pre-activations centred, the mean of the targets predicted', () => {
    const { weights, x } = fit('transcoder')
    expect(weights.wDec.every(value => value === 0)).toBe(true)
    expect(weights.bDec[0]).not.toBe(0)
    const mean = new Float64Array(96)
    for (let r = 0; r < rows; r++)
      for (let i = 0; i < 96; i++) {
        let pre = weights.bEnc[i]
        for (let j = 0; j < width; j++) pre += weights.wEnc[i * width + j] * x[r * width + j]
        mean[i] += pre / rows
      }
    expect(Math.max(...mean.map(Math.abs))).toBeLessThan(1e-5)
  })

  it('set b_enc so that latents fire at the rate asked for', () => {
    const { weights, x } = fit('jumprelu', { b_enc_init: 'firing_rate', initial_threshold: 0.1 }, 40_000)
    let fired = 0
    for (let r = 0; r < rows; r++)
      for (let i = 0; i < 40_000; i += 40) {
        let pre = weights.bEnc[i]
        for (let j = 0; j < width; j++) pre += weights.wEnc[i * width + j] * x[r * width + j]
        if (pre > weights.threshold![i]) fired++
      }
    expect(fired / (rows * 1000)).toBeCloseTo(0.25, 2)
  })

  it('find the norm with the least error: neither 20 % more nor less is better', () => {
    const { weights, before, x, member } = fit('standard', { init_norm_search: true, decoder_init_norm: 1 })
    expect(norms(weights.wDec, width)[0]).not.toBeCloseTo(norms(before.wDec, width)[0], 2)
    const error = (factor: number) => {
      let sum = 0
      for (let r = 0; r < rows; r++) {
        const out = new Float64Array(width)
        for (let i = 0; i < member.plan.shape.dSae; i++) {
          let pre = 0
          for (let j = 0; j < width; j++) pre += factor * weights.wEnc[i * width + j] * x[r * width + j]
          if (pre > 0) for (let j = 0; j < width; j++) out[j] += pre * factor * weights.wDec[i * width + j]
        }
        for (let j = 0; j < width; j++) sum += (x[r * width + j] - out[j]) ** 2
      }
      return sum
    }
    expect(error(1)).toBeLessThan(error(1.2))
    expect(error(1)).toBeLessThan(error(0.8))
  })

  it.each([
    ['fewer rows than columns', 8],
    ['more rows than columns', 64],
  ])('draw decoder rows inside the span of the data, with %s', (_, count) => {
    // Data of rank 3 about a mean that is not in it.
    const draw = gaussianStream({ seed: 1, purpose: 'low rank' })
    const basis = Float32Array.from({ length: 3 * width }, () => draw())
    const x = new Float32Array(count * width).fill(2)
    for (let r = 0; r < count; r++)
      for (let k = 0; k < 3; k++) {
        const weight = draw()
        for (let j = 0; j < width; j++) x[r * width + j] += weight * basis[k * width + j]
      }
    const { member, weights } = started({ family: 'standard', settings: { decoder_init: 'active_subspace' } })
    const fitted = fitInitialWeights({ ...member, weights, x, y: x, rows: count, seed: 3 })
    expect(norms(fitted.wDec, width)[5]).toBeCloseTo(0.1, 6)
    expect(fitted.wEnc).toEqual(fitted.wDec)
    const directions = activeSubspace({ rows: x, width })
    expect(directions.length).toBe(3 * width)
    for (let i = 0; i < 96; i++) {
      const row = fitted.wDec.subarray(i * width, (i + 1) * width)
      let inside = 0
      for (let k = 0; k < 3; k++) {
        let product = 0
        for (let j = 0; j < width; j++) product += row[j] * directions[k * width + j]
        inside += product * product
      }
      expect(Math.sqrt(inside)).toBeCloseTo(0.1, 5)
    }
  })

  it('leave the weights they were given as they are', () => {
    const { before, weights } = fit('topk')
    expect(before.bDec.every(value => value === 0)).toBe(true)
    expect(weights.wEnc).toEqual(before.wEnc)
  })
})

describe('the geometric median', () => {
  it('is where an outlier hardly moves it', () => {
    const rows = new Float32Array([0, 0, 1, 0, 0, 1, 1, 1, 1000, 1000])
    const [a, b] = geometricMedian({ rows, width: 2 })
    expect(a).toBeGreaterThan(0.5)
    expect(a).toBeLessThan(1.01)
    expect(a).toBeCloseTo(b, 3)
  })

  it('is the point itself when all rows are one', () => {
    expect([...geometricMedian({ rows: new Float32Array([2, 3, 2, 3]), width: 2 })]).toEqual([2, 3])
  })
})

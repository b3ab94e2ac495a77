// The judge judged: TopK's analytic gradients against finite differences of the surrogate, and against PyTorch
// autograd goldens (oracle/topk_gradients.py), whose formulas are those of the peers' own code.
import { fileURLToPath } from 'node:url'
import { openSafetensors } from '@mistudio/tensor'
import { describe, expect, test } from 'vitest'
import { gaussianStream } from '../random.ts'
import { type TopKConfig, topkConfig } from './topk_config.ts'
import { type Frozen, type OracleWeights, topkForward, topkGradients } from './topk_oracle.ts'

const shape = { dIn: 12, dSae: 40 }
const saelens: Partial<TopKConfig> = {
  auxCoefficient: 1,
  auxRelu: false,
  auxNormalisation: 'none',
  auxScaleByDead: true,
}
const configOf = (given: Partial<TopKConfig>) =>
  topkConfig({ k: 4, kAux: 6, ...given }, { shape, trainTokens: 1000 })
const cases: [string, string | undefined, TopKConfig][] = [
  ['plain', undefined, configOf({ auxCoefficient: 0 })],
  ['dl', 'dead', configOf({})],
  ['dl_few', 'dead_few', configOf({})],
  ['saelens', 'dead', configOf(saelens)],
  ['saelens_few', 'dead_few', configOf(saelens)],
]
const parameters = ['wEnc', 'bEnc', 'wDec', 'bDec'] as const
const fileNames = { wEnc: 'W_enc', bEnc: 'b_enc', wDec: 'W_dec', bDec: 'b_dec' }

function golden() {
  const file = openSafetensors(
    fileURLToPath(new URL('../../fixtures/topk_gradients.safetensors', import.meta.url)),
  )
  const read = (name: string) => file.read(name).data as Float64Array
  const weights: OracleWeights = {
    wEnc: read('W_enc'),
    bEnc: read('b_enc'),
    wDec: read('W_dec'),
    bDec: read('b_dec'),
  }
  const dead = (name: string | undefined) =>
    name === undefined ? undefined : (file.read(name).data as Uint8Array)
  return { read, weights, dead, x: read('x') }
}

function worst(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let most = 0
  let error = 0
  for (let i = 0; i < wanted.length; i++) {
    most = Math.max(most, Math.abs(wanted[i]))
    error = Math.max(error, Math.abs(found[i] - wanted[i]))
  }
  return error / most
}

describe.each(cases)('%s', (name, deadName, config) => {
  test('has PyTorch’s loss and gradients', () => {
    const { read, weights, x, dead } = golden()
    const result = topkGradients({ weights, shape, config, x, dead: dead(deadName) })
    const scalar = (term: string) => read(`${name}.${term}`)[0]
    expect(result.result.mse).toBeCloseTo(scalar('mse'), 10)
    expect(result.result.aux).toBeCloseTo(scalar('aux'), 10)
    expect(result.result.loss).toBeCloseTo(scalar('loss'), 10)
    expect(worst(result.result.featureActs, read(`${name}.feature_acts`))).toBeLessThan(1e-12)
    for (const parameter of parameters) {
      expect(worst(result[parameter], read(`${name}.${fileNames[parameter]}`)), parameter).toBeLessThan(1e-10)
    }
  })

  test('has the finite differences of the surrogate', () => {
    const { weights, x, dead } = golden()
    const mask = dead(deadName)
    const given = { weights, shape, config, x, dead: mask }
    const analytic = topkGradients(given)
    const h = 1e-5
    const near = rowsNearKink({ ...given, frozen: analytic.result.frozen, h })
    let skipped = 0
    let checked = 0
    const at = gaussianStream({ seed: 4, purpose: 'which parameters' })
    for (const parameter of parameters) {
      const values = weights[parameter]
      for (let draw = 0; draw < 60; draw++) {
        const i = Math.floor(Math.abs(at()) * 1e6) % values.length
        const latent = parameter === 'wEnc' ? Math.floor(i / shape.dIn) : parameter === 'bEnc' ? i : undefined
        if (latent === undefined ? parameter === 'bDec' && near.size > 0 : near.has(latent)) {
          skipped++
          continue
        }
        const lossAt = (value: number) => {
          const moved = { ...weights, [parameter]: values.with(i, value) }
          return topkForward({ ...given, weights: moved, frozen: analytic.result.frozen }).loss
        }
        const difference = (lossAt(values[i] + h) - lossAt(values[i] - h)) / (2 * h)
        checked++
        expect(Math.abs(difference - analytic[parameter][i]), `${parameter}[${i}]`).toBeLessThan(
          1e-6 * Math.max(1, Math.abs(difference)),
        )
      }
    }
    expect(checked).toBeGreaterThan(200)
    expect(skipped).toBeLessThan(30)
  })
})

/** Latents with a selected pre-activation within 10 h of the ReLU's kink (|x| ≤ 10 here, so a step moves ≤ 10 h). */
function rowsNearKink(options: {
  weights: OracleWeights
  config: TopKConfig
  x: ArrayLike<number>
  dead?: Uint8Array
  frozen: Frozen
  h: number
}): Set<number> {
  const { preActivations, frozen } = topkForward({ ...options, shape })
  const near = new Set<number>()
  for (const sets of [frozen.selected, frozen.auxSelected]) {
    sets.forEach((chosen, r) => {
      for (const i of chosen) if (Math.abs(preActivations[r * shape.dSae + i]) < 10 * options.h) near.add(i)
    })
  }
  return near
}

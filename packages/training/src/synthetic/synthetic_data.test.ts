// The ground truth and the activations made from it: frequencies, structure, determinism, and what the scores count.

import { createActivationBuffer } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSyntheticData, syntheticHook } from './data.ts'
import { createGenerator } from './generate.ts'
import {
  createGroundTruth,
  defaultGroundTruth,
  firingProbabilities,
  type GroundTruth,
  type GroundTruthOptions,
} from './ground_truth.ts'
import { scoreRecovery } from './score.ts'

const truthOf = (options: Partial<GroundTruthOptions> = {}) =>
  createGroundTruth({ ...defaultGroundTruth, dIn: 16, directions: 64, l0: 4, seed: 3, ...options })

/** Counts over `contexts` contexts of 128 tokens. */
function countFiring(truth: GroundTruth, contexts: number) {
  const { directions: n, dIn } = truth
  const generate = createGenerator({ truth, seed: 3, stream: 'train' })
  const out = new Float32Array(128 * dIn)
  const tokens = contexts * 128
  const fired = new Float64Array(n)
  const together = new Float64Array(n * n)
  const magnitudes: number[] = []
  for (let position = 0; position < contexts; position++) {
    const at: number[][] = Array.from({ length: 128 }, () => [])
    generate({
      position,
      out,
      onFiring: (token, direction, magnitude) => {
        at[token].push(direction)
        magnitudes.push(magnitude)
      },
    })
    for (const active of at) {
      for (const a of active) {
        fired[a]++
        for (const b of active) together[a * n + b]++
      }
    }
  }
  return {
    tokens,
    frequency: fired.map(count => count / tokens),
    both: (a: number, b: number) => together[a * n + b] / tokens,
    magnitudes,
  }
}

/** More than 5 standard deviations from `p` would fail one test in a million. */
const near = (found: number, p: number, tokens: number) =>
  expect(Math.abs(found - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / tokens) + 1e-9)

describe('a ground truth', () => {
  test('has directions of norm 1 which the seed decides', () => {
    const { rows } = truthOf()
    for (let i = 0; i < 64; i++) {
      const norm = Math.hypot(...rows.subarray(i * 16, (i + 1) * 16))
      expect(norm).toBeCloseTo(1, 6)
    }
    expect(truthOf().rows).toEqual(rows)
    expect(truthOf({}).rows).not.toEqual(createGroundTruth({ ...truthOf(), seed: 4 }).rows)
  })

  test.each([
    ['equal', 'independent'],
    ['zipf', 'independent'],
    ['equal', 'correlated'],
    ['zipf', 'correlated'],
    ['equal', 'hierarchical'],
    ['zipf', 'hierarchical'],
  ] as const)('with %s frequencies, %s, fires as often as it says', (frequencies, structure) => {
    const truth = truthOf({ frequencies, structure })
    const wanted = firingProbabilities(truth)
    expect(wanted.reduce((sum, p) => sum + p, 0)).toBeCloseTo(4, 6)
    const { frequency, tokens } = countFiring(truth, 300)
    wanted.forEach((p, i) => {
      near(frequency[i], p, tokens)
    })
  })

  test('follows Zipf: twice the rank fires half as often', () => {
    const p = firingProbabilities(truthOf({ frequencies: 'zipf' }))
    expect(p[9] / p[19]).toBeCloseTo(2, 6)
    expect(Math.max(...p)).toBeLessThanOrEqual(0.5)
  })

  test('fires independently unless it is told otherwise', () => {
    const { both, tokens } = countFiring(truthOf(), 300)
    for (const [a, b] of [
      [0, 1],
      [5, 6],
      [8, 63],
    ]) {
      near(both(a, b), (4 / 64) ** 2, tokens)
    }
  })

  test('correlates within a group of 8 and not across', () => {
    const { both, frequency, tokens } = countFiring(truthOf({ structure: 'correlated' }), 300)
    const correlation = (a: number, b: number) =>
      (both(a, b) - frequency[a] * frequency[b]) /
      Math.sqrt(frequency[a] * (1 - frequency[a]) * frequency[b] * (1 - frequency[b]))
    expect(correlation(0, 7)).toBeCloseTo((0.3 - 4 / 64) / (1 - 4 / 64), 1)
    expect(Math.abs(correlation(7, 8))).toBeLessThan(5 / Math.sqrt(tokens))
  })

  test('lets a child fire only with its parent', () => {
    const { both, frequency, tokens } = countFiring(truthOf({ structure: 'hierarchical' }), 300)
    for (let parent = 0; parent < 64; parent += 4) {
      for (const child of [1, 2, 3]) {
        expect(both(parent, parent + child)).toBe(frequency[parent + child])
      }
    }
    near(frequency[1] / frequency[0], 0.5, tokens * frequency[0])
  })

  test('fires with magnitudes 1 + 0.25·|N(0, 1)|', () => {
    const { magnitudes } = countFiring(truthOf(), 300)
    expect(Math.min(...magnitudes.slice(0, 10_000))).toBeGreaterThanOrEqual(1)
    const mean = magnitudes.reduce((sum, m) => sum + m, 0) / magnitudes.length
    expect(mean).toBeCloseTo(1 + 0.25 * Math.sqrt(2 / Math.PI), 2)
  })

  test('refuses more firing than its directions can do, naming the field', () => {
    const tooMuch = () => truthOf({ frequencies: 'zipf', l0: 40 })
    expect(tooMuch).toThrow(InputError)
    expect(tooMuch).toThrow(/l0.*at most 32/s)
  })
})

describe('activations', () => {
  let pool: WorkerPool
  beforeAll(async () => {
    pool = await openWorkerPool({ count: 1 })
  })
  afterAll(() => pool.close())

  test('are the sum of the directions that fire, and a function of seed, stream and position', () => {
    const truth = truthOf()
    const train = createGenerator({ truth, seed: 1, stream: 'train' })
    const wanted = new Float64Array(128 * 16)
    const out = new Float32Array(128 * 16)
    train({
      position: 7,
      out,
      onFiring: (token, direction, magnitude) => {
        for (let j = 0; j < 16; j++) wanted[token * 16 + j] += magnitude * truth.rows[direction * 16 + j]
      },
    })
    wanted.forEach((value, i) => {
      expect(out[i]).toBeCloseTo(value, 5)
    })
    const again = new Float32Array(out.length)
    train({ position: 8, out: again })
    expect(again).not.toEqual(out)
    train({ position: 7, out: again })
    expect(again).toEqual(out)
    createGenerator({ truth, seed: 1, stream: 'held out' })({ position: 7, out: again })
    expect(again).not.toEqual(out)
    createGenerator({ truth, seed: 2, stream: 'train' })({ position: 7, out: again })
    expect(again).not.toEqual(out)
  })

  test('carry noise of the standard deviation asked for', () => {
    const quiet = truthOf()
    const out = [quiet, { ...quiet, noise: 0.1 }].map(truth => {
      const rows = new Float32Array(128 * 16)
      createGenerator({ truth, seed: 1, stream: 'train' })({ position: 0, out: rows })
      return rows
    })
    // The first token's directions are drawn before its noise, so only the noise differs there; later ones differ too.
    const difference = Array.from(out[0].subarray(0, 16), (value, i) => out[1][i] - value)
    expect(Math.max(...difference.map(Math.abs))).toBeGreaterThan(0)
    expect(Math.max(...difference.map(Math.abs))).toBeLessThan(0.5)
  })

  test('reach a window in the order of their positions, window after window', async () => {
    const truth = truthOf()
    const data = await createSyntheticData({ pool, truth, seed: 5, stream: 'train', windowTokens: 3 * 128 })
    const window = await createActivationBuffer({
      pool,
      forward: data.forward,
      contextsPerCall: 2,
      hooks: [syntheticHook],
      source: data.source,
      contexts: 3,
      seed: 5,
    })
    const memory = await pool.memory({ bytes: 3 * 128 * 16 * 4 + 64 })
    const at = memory.alloc(3 * 128 * 16 * 4)
    const generate = createGenerator({ truth, seed: 5, stream: 'train' })
    for (const index of [0, 1, 2, 9]) {
      expect(await window.fill(index)).toBe(3 * 128)
      await pool.run([
        [
          {
            copy: {
              from: window.activations(syntheticHook),
              to: { memory: memory.id, offset: at },
              count: 3 * 128,
              width: 16,
            },
          },
        ],
      ])
      const wanted = new Float32Array(128 * 16)
      for (let c = 0; c < 3; c++) {
        generate({ position: index * 3 + c, out: wanted })
        expect(Float32Array.from(memory.f32(at + c * 128 * 64, 128 * 16))).toEqual(wanted)
      }
    }
    await window.close()
    await data.close()
    await pool.release(memory)
  })
})

describe('the score of a recovery', () => {
  const dIn = 4
  const directions = Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)

  test('counts every true direction and the alive latents alone', () => {
    const latents = Float32Array.of(
      ...[3, 0, 0, 0], // the first direction, at another length
      ...[0, 1, 0.3, 0], // the second, cosine 0.958
      ...[0, 0, 1, 0], // the third, but dead
      ...[0, 0, 0, 2], // none
    )
    const score = scoreRecovery({ directions, latents, alive: Uint8Array.of(1, 1, 0, 1), dIn })
    const second = 1 / Math.hypot(1, 0.3)
    expect(score.recovered).toBeCloseTo(2 / 3, 12)
    expect(score.mmcs).toBeCloseTo((1 + second + 0.3 * second) / 3, 6)
    expect(score.precision).toBeCloseTo(2 / 3, 12)
  })

  test('takes a latent that points the other way for no discovery', () => {
    const latents = directions.map(value => -value)
    const score = scoreRecovery({ directions, latents, alive: Uint8Array.of(1, 1, 1), dIn })
    expect(score).toEqual({ recovered: 0, mmcs: 0, precision: 0 })
  })

  test('has no precision where every latent is dead', () => {
    const score = scoreRecovery({ directions, latents: directions, alive: new Uint8Array(3), dIn })
    expect(score).toEqual({ recovered: 0, mmcs: 0, precision: null })
  })
})

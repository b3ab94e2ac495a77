// Normalisers: each does what it promises on correlated data, and bad data is refused by name.
import { InputError } from '@mistudio/files'
import { gaussianStream, openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LearnerState } from '../learner.ts'
import {
  applyNormaliser,
  checkActivations,
  fitNormaliser,
  type HookSample,
  type NormalisationKind,
  readNormaliser,
  storeNormaliser,
  whitening,
} from './normalise.ts'
import { symmetricEigen } from './symmetric_eigen.ts'

const d = 12
const tokens = 3000
let pool: WorkerPool
let sample: HookSample
let x: Float32Array
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  const draw = gaussianStream({ seed: 4, purpose: 'correlated' })
  const mixing = Float64Array.from({ length: d * d }, draw)
  const memory = await pool.memory({ bytes: tokens * (d + 1) * 4 + 1024 })
  const at = memory.alloc(tokens * d * 4)
  const rowsAt = memory.alloc(tokens * 4)
  x = memory.f32(at, tokens * d)
  for (let i = 0; i < tokens; i++) {
    const z = Float64Array.from({ length: d }, draw)
    for (let j = 0; j < d; j++) {
      let value = j === 3 ? 5 : 0
      for (let l = 0; l < d; l++) value += mixing[j * d + l] * z[l]
      x[i * d + j] = value
    }
    memory.i32(rowsAt, tokens)[i] = i
  }
  const sum = new Float64Array(d)
  let sumSquares = 0
  let sumNorms = 0
  for (let i = 0; i < tokens; i++) {
    let square = 0
    for (let j = 0; j < d; j++) {
      sum[j] += x[i * d + j]
      square += x[i * d + j] ** 2
    }
    sumSquares += square
    sumNorms += Math.sqrt(square)
  }
  sample = {
    hook: 'a',
    width: d,
    moments: { tokens, sum, sumSquares, sumNorms },
    activations: { memory: memory.id, offset: at },
    rows: { memory: memory.id, offset: rowsAt },
    count: tokens,
  }
})
afterAll(() => pool.close())

const fitted = async (kind: NormalisationKind) => {
  const normaliser = await fitNormaliser({ pool, kind, sample })
  return Array.from({ length: tokens }, (_, i) => {
    const row = Float64Array.from(x.subarray(i * d, (i + 1) * d))
    applyNormaliser(normaliser, row)
    return row
  })
}
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

describe('a normaliser', () => {
  test('none leaves the rows alone', async () => {
    expect([...(await fitted('none'))[7]]).toEqual([...x.subarray(7 * d, 8 * d)])
  })

  test('expected_average makes the mean norm √d', async () => {
    const norms = (await fitted('expected_average')).map(row => Math.hypot(...row))
    expect(mean(norms)).toBeCloseTo(Math.sqrt(d), 6)
    expect(Math.max(...norms)).toBeGreaterThan(1.5 * Math.sqrt(d))
  })

  test('token_rms makes every norm √d', async () => {
    for (const row of await fitted('token_rms')) expect(Math.hypot(...row)).toBeCloseTo(Math.sqrt(d), 9)
  })

  test('layer_norm makes every row of mean 0 and variance 1', async () => {
    for (const row of (await fitted('layer_norm')).slice(0, 50)) {
      expect(mean([...row])).toBeCloseTo(0, 9)
      expect(row.reduce((sum, value) => sum + value ** 2, 0) / (d - 1)).toBeCloseTo(1, 3)
    }
  })

  test('whiten makes the covariance the identity, and its inverse undoes it', async () => {
    const rows = await fitted('whiten')
    for (let a = 0; a < d; a++) {
      expect(mean(rows.map(row => row[a]))).toBeCloseTo(0, 4)
      for (let b = 0; b <= a; b++)
        expect(mean(rows.map(row => row[a] * row[b]))).toBeCloseTo(a === b ? 1 : 0, 2)
    }
    const normaliser = await fitNormaliser({ pool, kind: 'whiten', sample })
    if (normaliser.kind !== 'whiten') return expect.unreachable()
    const { inverse, mean: centre } = normaliser
    for (let j = 0; j < d; j++) {
      let back = centre[j]
      for (let l = 0; l < d; l++) back += rows[9][l] * inverse[j * d + l]
      expect(back).toBeCloseTo(x[9 * d + j], 4)
    }
  })

  test('of any kind comes back from a checkpoint as it was', async () => {
    for (const kind of ['none', 'expected_average', 'token_rms', 'layer_norm', 'whiten'] as const) {
      const normaliser = await fitNormaliser({ pool, kind, sample })
      const tensors: LearnerState = new Map()
      const stored = JSON.parse(JSON.stringify(storeNormaliser(normaliser, 'normaliser.a', tensors)))
      expect(readNormaliser(stored, 'normaliser.a', tensors)).toEqual(normaliser)
      expect(tensors.size).toBe(0)
    }
  })
})

test('a direction without variance is not blown up by whitening', () => {
  const covariance = new Float64Array([4, 0, 0, 0])
  const { matrix } = whitening(covariance, 2)
  expect(matrix[0]).toBeCloseTo(0.5, 4)
  expect(Math.abs(matrix[3])).toBeLessThan(1 / Math.sqrt(1e-5 * 2) + 1)
})

test('the eigenvectors of a symmetric matrix are orthogonal and reproduce it', () => {
  for (const n of [1, 2, 5, 40]) {
    const draw = gaussianStream({ seed: n, purpose: 'symmetric' })
    const a = new Float64Array(n * n)
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = draw()
    const { values, vectors } = symmetricEigen(a.slice(), n)
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let entry = 0
        let product = 0
        for (let k = 0; k < n; k++) {
          entry += values[k] * vectors[k * n + i] * vectors[k * n + j]
          product += vectors[i * n + k] * vectors[j * n + k]
        }
        expect(entry).toBeCloseTo(a[i * n + j], 10)
        expect(product).toBeCloseTo(i === j ? 1 : 0, 10)
      }
    }
  }
})

test('activations without variance and such that hold NaN are refused, and the hook point is named', () => {
  const judge = (moments: Partial<HookSample['moments']>) => () =>
    checkActivations({ hook: 'blocks.1.hook_mlp_out', moments: { ...sample.moments, ...moments } }, 3)
  expect(judge({})).not.toThrow()
  expect(judge({ sumSquares: Number.NaN })).toThrow(
    /NaN or infinity; field: blocks.1.hook_mlp_out; found: .*buffer 3/,
  )
  const sum = new Float64Array(d).fill(tokens * 2)
  expect(judge({ sum, sumSquares: 4 * d * tokens })).toThrow(/no variance; field: blocks.1.hook_mlp_out/)
  expect(judge({ sum, sumSquares: 4 * d * tokens })).toThrow(InputError)
})

import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { computeLogits, type LogitHead } from './logits.ts'

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

/** Numbers in (−1, 1) that are the same in every run. */
function numbers(length: number, salt: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898 + salt * 78.233) ** 3)
}

function oracle(wDec: Float32Array, { unembed, gamma, centre }: LogitHead, count: number) {
  const width = gamma.length
  const vocabulary = unembed.length / width
  return Array.from({ length: wDec.length / width }, (_, feature) => {
    const row = Array.from(wDec.subarray(feature * width, (feature + 1) * width))
    const mean = centre ? row.reduce((sum, value) => sum + value, 0) / width : 0
    const logits = Array.from({ length: vocabulary }, (_, token) => ({
      token,
      logit: row.reduce((sum, value, j) => sum + (value - mean) * gamma[j] * unembed[token * width + j], 0),
    }))
    const sorted = logits.sort((a, b) => b.logit - a.logit || a.token - b.token)
    return { top: sorted.slice(0, count), bottom: sorted.slice(-count).reverse() }
  })
}

for (const centre of [false, true]) {
  for (const blockTokens of [undefined, 23]) {
    const how = `${centre ? 'LayerNorm' : 'RMS norm'}, ${blockTokens ?? 'all'} tokens at a time`
    test(`top and bottom equal the float64 product: ${how}`, async () => {
      const width = 12
      const features = 301
      const head = { unembed: numbers(97 * width, 1), gamma: numbers(width, 2), centre }
      const wDec = numbers(features * width, 3)
      const found = await computeLogits({ pool, wDec, head, count: 5, blockTokens })
      const expected = oracle(wDec, head, 5)
      for (let feature = 0; feature < features; feature++) {
        for (const side of ['top', 'bottom'] as const) {
          const tokens = found[`${side}Tokens`].subarray(feature * 5, feature * 5 + 5)
          const logits = found[`${side}Logits`].subarray(feature * 5, feature * 5 + 5)
          expect(Array.from(tokens)).toEqual(expected[feature][side].map(({ token }) => token))
          logits.forEach((logit, i) => {
            expect(Math.abs(logit - expected[feature][side][i].logit)).toBeLessThan(1e-5)
          })
        }
      }
    })
  }
}

test('equal logits go to the lowest token id, and a small vocabulary gives fewer', async () => {
  const head = { unembed: Float32Array.of(1, 0, 0, 1, 1, 0), gamma: Float32Array.of(1, 1), centre: false }
  const found = await computeLogits({ pool, wDec: Float32Array.of(2, 0), head })
  expect(found.count).toBe(3)
  expect(Array.from(found.topTokens)).toEqual([0, 2, 1])
  expect(Array.from(found.topLogits)).toEqual([2, 2, 0])
  expect(Array.from(found.bottomTokens)).toEqual([1, 0, 2])
})

test('matrices of another width are refused', async () => {
  const head = { unembed: new Float32Array(6), gamma: new Float32Array(2), centre: false }
  await expect(computeLogits({ pool, wDec: new Float32Array(3), head })).rejects.toThrow(
    /field: W_dec; found: 3 numbers; expected: rows of 2/,
  )
})

// The oracle runtime against what transformers computed (fixtures) and against closed forms.
import { expect, test } from 'vitest'
import { erf } from './oracle_matrix.ts'

test('erf agrees with tabulated values on both sides of the switch', () => {
  const table = [
    [0, 0],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2.4, 0.9993114861033549],
    [2.6, 0.9997639655834707],
    [4, 0.9999999845827421],
  ]
  for (const [x, y] of table) {
    expect(Math.abs(erf(x) - y)).toBeLessThan(1e-14)
    expect(Math.abs(erf(-x) + y)).toBeLessThan(1e-14)
  }
})

// When an SAE ends early: windows of tokens, the gain that counts as one, the target.
import { describe, expect, test } from 'vitest'
import { emptyEarlyStop, judgeEarlyStop } from './early_stop.ts'

type Limits = Parameters<typeof judgeEarlyStop>[0]['settings']

/** What is said after each step of 10 tokens with that FVU; the variance is 2. */
function judge(fvus: readonly number[], given: Partial<Limits> = {}) {
  const settings = { earlyStopWindowTokens: 10, earlyStopMinGain: 0.1, earlyStopFvu: null, ...given }
  const state = emptyEarlyStop()
  const ends = fvus.map(fvu =>
    judgeEarlyStop({ state, rows: 10, squaredError: fvu * 2 * 10, variance: 2, settings }),
  )
  return { ends, state }
}

describe('a plateau', () => {
  test('is an FVU that falls by less than the share asked for', () => {
    expect(judge([1, 0.89]).ends).toEqual([undefined, undefined])
    expect(judge([1, 0.91]).ends).toEqual([undefined, { kind: 'plateau', fvu: expect.closeTo(0.91, 9) }])
    // The same fall is a gain where less is asked for.
    expect(judge([1, 0.91], { earlyStopMinGain: 0.05 }).ends[1]).toBeUndefined()
  })

  test('is a share of the best FVU, not a difference', () => {
    expect(judge([0.1, 0.085]).ends[1]).toBeUndefined()
    expect(judge([0.1, 0.095]).ends[1]).toMatchObject({ kind: 'plateau' })
  })

  test('with no gain asked for is an FVU that rises; one that stays is none', () => {
    expect(judge([0.5, 0.5], { earlyStopMinGain: 0 }).ends[1]).toBeUndefined()
    expect(judge([0.5, 0.501], { earlyStopMinGain: 0 }).ends[1]).toMatchObject({ kind: 'plateau' })
  })

  test('is judged by the least FVU of all windows', () => {
    const { ends, state } = judge([1, 0.5, 0.8, 0.6])
    expect(ends.map(end => end?.kind)).toEqual([undefined, undefined, 'plateau', 'plateau'])
    expect(state.best).toBe(0.5)
  })
})

test('a window is judged as a whole, by its tokens, and a new one begins', () => {
  const { ends, state } = judge([1, 0.2, 0.95, 0.1], { earlyStopWindowTokens: 20 })
  expect(ends).toEqual([undefined, undefined, undefined, undefined])
  expect(state.best).toBeCloseTo(0.525, 12)
  expect(state).toMatchObject({ tokens: 0, squaredError: 0 })
  // 15 tokens are no window of 20; the step that fills it may go beyond.
  const uneven = judge([1, 1, 1], { earlyStopWindowTokens: 15 })
  expect(uneven.state).toEqual({ tokens: 10, squaredError: 20, best: 1 })
})

test('the target ends it, with the first window too, and says so where it is a plateau as well', () => {
  const target = { earlyStopFvu: 0.3 }
  expect(judge([0.3], target).ends).toEqual([{ kind: 'target', fvu: 0.3 }])
  expect(judge([0.31], target).ends).toEqual([undefined])
  expect(judge([0.31, 0.3], target).ends[1]).toEqual({ kind: 'target', fvu: 0.3 })
})

test('nothing is judged without a window, or before there is a variance', () => {
  expect(judge([1, 2, 3], { earlyStopWindowTokens: 0 })).toEqual({
    ends: [undefined, undefined, undefined],
    state: emptyEarlyStop(),
  })
  const settings = { earlyStopWindowTokens: 5, earlyStopMinGain: 0, earlyStopFvu: 1 }
  for (const variance of [0, Number.NaN]) {
    const state = emptyEarlyStop()
    expect(judgeEarlyStop({ state, rows: 10, squaredError: 0, variance, settings })).toBeUndefined()
    expect(state.best).toBeNull()
  }
})

// How many candidates a screened encode gathers, from its sizes.
import { describe, expect, test } from 'vitest'
import { gathering, mostPerK, rescoredCount, screenLatents } from './scoring.ts'

/** Uniform numbers from a multiplicative generator: the same ones every time. */
function uniform(seed: number) {
  let state = seed
  return () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
}

describe('gathering', () => {
  test.each([
    { k: 32, latents: 24_576, perK: 5, share: 32 },
    { k: 32, latents: 8192, perK: 5, share: 40 },
    { k: 128, latents: 8192, perK: 5, share: 160 },
    { k: 32, latents: 2048, perK: 5, share: 160 },
    { k: 64, latents: 4096, perK: 12, share: 384 },
  ])('$k of $latents: the floor of the first piece lets $share through', ({ k, latents, perK, share }) => {
    const { segments, rank, keep, cap } = gathering(k, latents, perK)
    const groups = 32 * segments
    // Maxima say most where they are more than what is looked for, and not many more.
    expect(share / groups).toBeLessThanOrEqual(0.7)
    expect(groups - 32).toBeLessThan(share / 0.7)
    expect(keep).toBe(Math.ceil((share * latents) / screenLatents))
    expect(cap).toBe(Math.min(latents, 2 * keep))
    const random = uniform(7)
    let above = 0
    const rounds = 300
    for (let round = 0; round < rounds; round++) {
      const scores = Array.from({ length: screenLatents }, random)
      const maxima = new Array<number>(groups).fill(0)
      scores.forEach((score, i) => {
        maxima[i % groups] = Math.max(maxima[i % groups], score)
      })
      const floor = maxima.sort((a, b) => b - a)[rank - 1]
      above += scores.filter(score => score >= floor).length
    }
    expect(above / rounds / share).toBeGreaterThan(0.9)
    expect(above / rounds / share).toBeLessThan(1.07)
  })

  test('asks for no more than there is, at least for k, and for sixteen latents to measure errors on', () => {
    expect(gathering(4, 20, 5)).toEqual({ probes: 16, segments: 1, rank: 15, keep: 20, cap: 20 })
    for (const [k, latents] of [
      [1, 60],
      [2000, 24_576],
      [2048, 2048],
    ]) {
      const { rank, segments, keep, cap } = gathering(k, latents)
      expect(rank).toBeLessThanOrEqual(32 * segments)
      expect(keep).toBeGreaterThanOrEqual(k)
      expect(keep).toBeLessThanOrEqual(cap)
      expect(cap).toBeLessThanOrEqual(latents)
    }
    // Over all pieces of a row; four at a time.
    expect(gathering(32, 2048).probes).toBe(16)
    expect(gathering(32, 8192).probes).toBe(4)
    expect(gathering(32, 24_576).probes).toBe(4)
    expect(gathering(32, 4096).probes).toBe(8)
  })

  test('gathers at most 1,024 where that is more than 6k, else 6k', () => {
    expect(gathering(100, 4096).keep).toBe(1024)
    expect(gathering(100, 4096, 4).keep).toBe(400)
    expect(gathering(512, 8192).keep).toBe(3072)
    expect(gathering(512, 8192, mostPerK)).toEqual(gathering(512, 8192))
    expect(mostPerK).toBe(16)
  })
})

test('the float32 product is asked for twice k, and sixteen more where k is small', () => {
  expect([1, 15, 16, 17, 100].map(k => rescoredCount(k, 1000))).toEqual([17, 31, 32, 34, 200])
  expect(rescoredCount(100, 150)).toBe(150)
})

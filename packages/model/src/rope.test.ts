// Rotary frequencies against their closed forms.
import { expect, test } from 'vitest'
import { ropeFrequencies, ropeTable } from './rope.ts'

const theta = 10_000
const plain = ropeFrequencies({ theta, scaling: { type: 'default' } }, 8)

test('θ^(−2i/d), and the table at position 0 and 3', () => {
  plain.forEach((frequency, i) => {
    expect(frequency).toBeCloseTo(theta ** (-i / 4), 7)
  })
  const { cos, sin } = ropeTable({
    rope: { theta, scaling: { type: 'default' } },
    rotaryDims: 8,
    positions: 4,
  })
  expect(Array.from(cos.subarray(0, 4))).toEqual([1, 1, 1, 1])
  expect(Array.from(sin.subarray(0, 4))).toEqual([0, 0, 0, 0])
  expect(sin[3 * 4 + 1]).toBeCloseTo(Math.sin(3 * plain[1]), 6)
})

test('linear scaling is position interpolation', () => {
  const scaled = ropeFrequencies({ theta, scaling: { type: 'linear', factor: 4 } }, 8)
  expect(Array.from(scaled)).toEqual(Array.from(plain, frequency => Math.fround(frequency / 4)))
})

test('llama3 keeps fast pairs, stretches slow ones, blends between', () => {
  const scaling = {
    type: 'llama3',
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalContext: 64,
  } as const
  const scaled = ropeFrequencies({ theta, scaling }, 8)
  const turns = Array.from(plain, frequency => (64 * frequency) / (2 * Math.PI))
  expect(turns[0]).toBeGreaterThan(4)
  expect(scaled[0]).toBe(plain[0])
  expect(turns[1]).toBeGreaterThan(1)
  expect(turns[1]).toBeLessThan(4)
  const smooth = (turns[1] - 1) / 3
  expect(scaled[1]).toBeCloseTo(((1 - smooth) * plain[1]) / 8 + smooth * plain[1], 7)
  expect(turns[3]).toBeLessThan(1)
  expect(scaled[3]).toBe(Math.fround(plain[3] / 8))
})

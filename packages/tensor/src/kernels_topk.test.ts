// Row top-k and the gather of columns against the oracle: exact, ties to the lowest index.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rowCount, seed, uniform } from '../testing/kernel_arbitrary.ts'
import { createArena, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'
import { topkScratchBytes } from './kernels.ts'

type Case = Parameters<typeof oracle.topkRows>[0] & { pre: Float32Array; bias?: Float32Array }

function topk({ pre, m, ld = m, rows, bias, k, relu }: Case): oracle.Selected {
  const arena = createArena({ skew: 4 })
  const at = { pre: arena.put(pre), bias: bias === undefined ? 0 : arena.put(bias) }
  const index = arena.room(rows * k * 4)
  const value = arena.room(rows * k * 4)
  const scratch = arena.room(topkScratchBytes(m, k))
  kernels.topkRows(at.pre, ld, rows, m, at.bias, k, relu ? 1 : 0, index, value, scratch)
  arena.check()
  return { index: arena.i32(index, rows * k), value: arena.f32(value, rows * k) }
}

const shape = fc
  .record({
    // From 256 on an initial threshold is taken from the row's first half.
    m: fc.oneof(
      fc.constantFrom(1, 2, 15, 16, 17, 32, 33, 127, 128, 129, 255, 256, 512),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 250, max: 1_500 }),
    ),
    kind: fc.constantFrom('one', 'all', 'some', 'few'),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    rows: rowCount,
    pad: fc.integer({ min: 0, max: 5 }),
    relu: fc.boolean(),
    withBias: fc.boolean(),
    seed,
  })
  .map(({ kind, share, ...rest }) => {
    const most = kind === 'few' ? Math.min(rest.m, 40) : rest.m
    const k = kind === 'one' ? 1 : kind === 'all' ? rest.m : 1 + Math.floor(share * (most - 1))
    return { ...rest, k }
  })

/** `draw` gives one entry; NaN-free unless it says otherwise. */
function caseOf(
  options: typeof shape extends fc.Arbitrary<infer T> ? T : never,
  draw: (u: number) => number,
): Case {
  const { m, rows, pad, relu, withBias, k } = options
  const random = uniform(options.seed)
  const ld = m + pad
  const pre = Float32Array.from({ length: rows * ld }, () => draw(random()))
  const bias = withBias ? Float32Array.from({ length: m }, () => draw(random()) / 2) : undefined
  return { pre, ld, rows, m, bias, k, relu }
}

describe('topkRows', () => {
  test('takes the largest values of random rows', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = caseOf(options, u => 8 * u - 4)
        expect(topk(input)).toEqual(oracle.topkRows(input))
      }),
      { numRuns: 300 },
    )
  })

  test('gives ties to the lowest index', () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 1, max: 5 }), (options, levels) => {
        const input = caseOf(options, u => Math.floor(u * levels) - 1)
        expect(topk(input)).toEqual(oracle.topkRows(input))
      }),
      { numRuns: 300 },
    )
  })

  test('ranks −∞ last and +∞ first', () => {
    fc.assert(
      fc.property(shape, fc.double({ min: 0, max: 1, noNaN: true }), (options, lowest) => {
        const draw = (u: number) => {
          if (u < lowest) return Number.NEGATIVE_INFINITY
          return u > 0.98 ? Number.POSITIVE_INFINITY : Math.floor(u * 50)
        }
        const input = { ...caseOf(options, draw), bias: undefined }
        expect(topk(input)).toEqual(oracle.topkRows(input))
      }),
      { numRuns: 300 },
    )
  })

  test('a NaN makes its row NaN and leaves the others alone', () => {
    fc.assert(
      fc.property(shape, options => {
        const { seed: from, rows, m } = options
        const input = caseOf(options, u => 8 * u - 4)
        const random = uniform(from + 1)
        for (let r = 0; r < rows; r += 2) {
          input.pre[r * (input.ld ?? m) + Math.floor(random() * m)] = Number.NaN
        }
        expect(topk(input)).toEqual(oracle.topkRows(input))
      }),
      { numRuns: 200 },
    )
  })

  test('a bias of −∞ on +∞ is a NaN as well', () => {
    const input = {
      pre: Float32Array.of(1, Number.POSITIVE_INFINITY, 3),
      bias: Float32Array.of(0, Number.NEGATIVE_INFINITY, 0),
    }
    const { index, value } = topk({ ...input, rows: 1, m: 3, k: 2, relu: true })
    expect([...index]).toEqual([0, 1])
    expect([...value]).toEqual([Number.NaN, Number.NaN])
  })

  test('rows that rise fill the candidates again and again', () => {
    const m = 3_000
    const pre = Float32Array.from({ length: 2 * m }, (_, i) => (i < m ? i : 2 * m - i))
    for (const k of [1, 3, 32, 500, m]) {
      const input = { pre, rows: 2, m, k, relu: true }
      expect(topk(input)).toEqual(oracle.topkRows(input))
    }
  })

  test('rows come out the same however they are shared out', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = caseOf(options, u => Math.floor(u * 40) - 20)
        const { rows, m, ld = m } = input
        const parts = Array.from({ length: rows }, (_, r) =>
          topk({ ...input, rows: 1, pre: input.pre.subarray(r * ld, (r + 1) * ld) }),
        )
        const whole = topk(input)
        expect(parts.flatMap(part => [...part.index])).toEqual([...whole.index])
        expect(parts.flatMap(part => [...part.value])).toEqual([...whole.value])
      }),
    )
  })
})

describe('gatherColumns', () => {
  test('copies the named columns and adds their bias', () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 0, max: 40 }), (options, count) => {
        const input = caseOf(options, u => 8 * u - 4)
        const { pre, rows, m, ld = m, bias } = input
        const random = uniform(options.seed + 2)
        const cols = Int32Array.from({ length: count }, () => Math.floor(random() * m))
        const arena = createArena({ skew: 4 })
        const at = {
          pre: arena.put(pre),
          bias: bias === undefined ? 0 : arena.put(bias),
          cols: arena.put(cols),
        }
        const out = arena.room(rows * count * 4)
        kernels.gatherColumns(at.pre, ld, rows, at.bias, at.cols, count, out)
        arena.check()
        expect(arena.f32(out, rows * count)).toEqual(oracle.gatherColumns({ pre, ld, rows, bias, cols }))
      }),
    )
  })
})

// The oracle by itself: closed forms, settings that must change nothing, cases small enough to do by hand. Real models
// are in goldens.test.ts, the fast runtime against the oracle in agreement.test.ts.
import { describe, expect, test } from 'vitest'
import type { AttentionOptions, Norm, Rotary } from '../ops.ts'
import { randomNumbers } from '../sampling.ts'
import type { WeightStore } from '../weights.ts'
import { oracleOps } from './oracle.ts'
import { erf, type Matrix, matrix } from './oracle_matrix.ts'

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

function opsOver(weights: Record<string, number[]>, tokens = 0) {
  const store: WeightStore = {
    folder: '',
    bytes: 0,
    info: name => {
      throw new Error(name)
    },
    readF32: name => Float32Array.from(weights[name]),
    close: () => {},
  }
  return oracleOps({ weights: store, inputIds: new Array<number>(tokens).fill(0), nCtx: 16 })
}

const rowsOf = (...rows: number[][]): Matrix =>
  matrix(rows.length, rows[0].length, Float64Array.from(rows.flat()))
const listed = ({ rows, width, data }: Matrix) =>
  Array.from({ length: rows }, (_, row) => Array.from(data.subarray(row * width, (row + 1) * width)))
function expectRows(found: Matrix, expected: number[][]) {
  expect(found).toMatchObject({ rows: expected.length, width: expected[0].length })
  listed(found).forEach((row, i) => {
    row.forEach((value, j) => {
      expect(value, `${i}, ${j}`).toBeCloseTo(expected[i][j], 12)
    })
  })
}

describe('attention', () => {
  const length = 9
  const random = randomNumbers(3)
  const draw = (width: number) =>
    matrix(
      length,
      width,
      Float64Array.from({ length: length * width }, () => 4 * random() - 2),
    )
  const [q, k, v] = [draw(12), draw(6), draw(4)]
  const settings: AttentionOptions = { layer: 0, heads: 4, kvHeads: 2, dHead: 3, dValue: 2, scale: 0.7 }
  const attend = (change: Partial<AttentionOptions> = {}, sinks: number[] = []) =>
    opsOver({ sinks }).attention(q, k, v, { ...settings, ...change })
  const plain = listed(attend())

  test('of the first token is its own value, for every head of a group', () => {
    const [a, b, c, d] = v.data
    expectRows(matrix(1, 8, attend().data.slice(0, 8)), [[a, b, a, b, c, d, c, d]])
  })

  test('of two tokens with keys that differ by log 3 weighs them one to three', () => {
    const options = { layer: 0, heads: 1, kvHeads: 1, dHead: 1, scale: 0.5 }
    const found = opsOver({}).attention(
      rowsOf([9], [2]),
      rowsOf([0], [Math.log(3)]),
      rowsOf([10], [30]),
      options,
    )
    expectRows(found, [[10], [25]])
  })

  test('a window as long as the context is none', () => {
    expect(listed(attend({ window: length }))).toEqual(plain)
    expect(listed(attend({ window: 100 }))).toEqual(plain)
    expect(listed(attend({ window: length - 1 })).at(-1)).not.toEqual(plain.at(-1))
    expect(listed(attend({ window: length - 1 })).slice(0, -1)).toEqual(plain.slice(0, -1))
  })

  test('a window of one key is the value itself', () => {
    const own = listed(v).map(([a, b, c, d]) => [a, b, a, b, c, d, c, d])
    expectRows(attend({ window: 1 }), own)
  })

  test('a window is attention over the last tokens alone', () => {
    const last = (x: Matrix) => matrix(4, x.width, x.data.slice((length - 4) * x.width))
    const cut = opsOver({}).attention(last(q), last(k), last(v), settings)
    expectRows(matrix(1, 8, attend({ window: 4 }).data.slice(-8)), [listed(cut).at(-1)!])
  })

  test('a soft cap beyond every score is none, one near 0 makes all keys equal', () => {
    expectRows(attend({ softCap: 1e9 }), plain)
    const [first, second] = listed(v)
    const mean = first.map((value, i) => (value + second[i]) / 2)
    const [a, b, c, d] = mean
    expectRows(matrix(1, 8, attend({ softCap: 1e-14 }).data.slice(8, 16)), [[a, b, a, b, c, d, c, d]])
  })

  test('a soft cap of 2 turns a score of 3 into 2 tanh 1.5', () => {
    const found = opsOver({}).attention(rowsOf([0], [1]), rowsOf([3], [0]), rowsOf([1], [0]), {
      layer: 0,
      heads: 1,
      kvHeads: 1,
      dHead: 1,
      scale: 1,
      softCap: 2,
    })
    const share = Math.exp(2 * Math.tanh(1.5))
    expectRows(found, [[1], [share / (share + 1)]])
  })

  test('sinks of −∞ are none, large ones take everything, one as large as the only score takes half', () => {
    const none = new Array<number>(4).fill(Number.NEGATIVE_INFINITY)
    expectRows(attend({ sinks: 'sinks' }, none), plain)
    const all = attend({ sinks: 'sinks' }, [0, 900, 0, 0])
    listed(all).forEach(row => {
      expect(row.slice(2, 4)).toEqual([0, 0])
    })
    const found = opsOver({ sinks: [6] }).attention(rowsOf([2]), rowsOf([3]), rowsOf([8]), {
      layer: 0,
      heads: 1,
      kvHeads: 1,
      dHead: 1,
      scale: 1,
      sinks: 'sinks',
    })
    expectRows(found, [[4]])
  })
})

describe('rotary', () => {
  const rope = { theta: 100, scaling: { type: 'default' } } as const
  const ops = opsOver({}, 2)
  const turn = (change: Partial<Rotary>, row: number[]) =>
    listed(
      ops.rotary(
        rowsOf(
          row.map(() => 0),
          row,
        ),
        { heads: 1, dHead: row.length, rope, ...change },
      ),
    )[1]
  const [cos, sin] = [Math.cos(1), Math.sin(1)]

  test('turns the first pair by one radian a position, the second by θ^(−1/2)', () => {
    const [a, b, c, d] = turn({}, [1, 0, 0, 1])
    expect(a).toBeCloseTo(cos, 6)
    expect(c).toBeCloseTo(sin, 6)
    expect(b).toBeCloseTo(-Math.sin(0.1), 6)
    expect(d).toBeCloseTo(Math.cos(0.1), 6)
  })

  test('partial: frequencies are those of a head of that size, the other dimensions stay', () => {
    const row = turn({ rotaryDims: 4 }, [1, 0, 0, 1, 5, 6, 7, 8])
    expect(row.slice(0, 4)).toEqual(turn({}, [1, 0, 0, 1]))
    expect(row.slice(4)).toEqual([5, 6, 7, 8])
    expect(turn({ rotaryDims: 4 }, [1, 2, 3, 4])).toEqual(turn({}, [1, 2, 3, 4]))
  })

  test('interleaved: the same turn of neighbours', () => {
    const [a, b, c, d] = turn({}, [1, 2, 3, 4])
    expect(turn({ interleaved: true }, [1, 3, 2, 4])).toEqual([a, c, b, d])
  })

  test('every head turns alike', () => {
    const two = ops.rotary(rowsOf(new Array<number>(8).fill(0), [1, 2, 3, 4, 1, 2, 3, 4]), {
      heads: 2,
      dHead: 4,
      rope,
    })
    const one = turn({}, [1, 2, 3, 4])
    expect(listed(two)[1]).toEqual([...one, ...one])
  })
})

describe('norms', () => {
  const rms: Norm = { kind: 'rms', epsilon: 1e-30 }
  const root = Math.sqrt(12.5)

  test('of heads divides each by its own size', () => {
    const ops = opsOver({ w: [1, 2] })
    const found = ops.headNorm(rowsOf([3, 4, 30, 40]), { ...rms, weight: 'w', heads: 2, dHead: 2 })
    expectRows(found, [[3 / root, 8 / root, 3 / root, 8 / root]])
    expectRows(ops.headNorm(rowsOf([3, 4]), { ...rms, heads: 1, dHead: 2 }), [[3 / root, 4 / root]])
    // One head is the whole width.
    const row = rowsOf([1, 2, 5, 8])
    expect(listed(ops.headNorm(row, { ...rms, heads: 1, dHead: 4 }))).toEqual(listed(ops.norm(row, rms)))
  })

  test('with a unit offset multiplies by 1 + weight: zeros change nothing', () => {
    const ops = opsOver({ zeros: [0, 0], w: [1, -0.5], b: [10, 20] })
    const x = rowsOf([3, 4])
    expectRows(ops.norm(x, { ...rms, weight: 'zeros', unitOffset: true }), listed(ops.norm(x, rms)))
    expectRows(ops.norm(x, { ...rms, weight: 'w', bias: 'b', unitOffset: true }), [
      [10 + 6 / root, 20 + 2 / root],
    ])
  })

  test('a layer norm removes the mean', () => {
    const found = opsOver({ w: [2, 2] }).norm(rowsOf([7, 9]), { kind: 'layer', epsilon: 1e-30, weight: 'w' })
    expectRows(found, [[-2, 2]])
  })

  test('the final one shows its hook before weight and bias, and is nothing at all where there is none', () => {
    const ops = opsOver({ w: [1, 2], b: [5, 5] })
    const seen: Matrix[] = []
    const x = rowsOf([3, 4])
    const found = ops.finalNorm(x, { ...rms, weight: 'w', bias: 'b' }, (_, value) => {
      seen.push(value)
      return rowsOf([1, 1])
    })
    expectRows(seen[0], [[3 / root, 4 / root]])
    expectRows(found, [[6, 7]])
    expect(
      ops.finalNorm(x, { kind: 'none' }, () => {
        throw new Error('marked')
      }),
    ).toBe(x)
  })
})

test('a scale', () => {
  expectRows(opsOver({}).scale(rowsOf([1, -2], [0, 4]), -0.5), [
    [-0.5, 1],
    [0, -2],
  ])
})

test('the unembedding: bias, scale, then the cap', () => {
  const ops = opsOver({ w: [1, 2, 3, 4, 5, 6], b: [10, 20, 30] })
  const x = rowsOf([1, -1])
  expectRows(ops.unembed(x, { weight: 'w', vocab: 3 }), [[-1, -1, -1]])
  expectRows(ops.unembed(x, { weight: 'w', vocab: 3, layout: 'in_out' }), [[-3, -3, -3]])
  expectRows(ops.unembed(x, { weight: 'w', vocab: 3, bias: 'b', scale: 0.5 }), [[4.5, 9.5, 14.5]])
  expectRows(ops.unembed(x, { weight: 'w', vocab: 3, bias: 'b', scale: 0.5, softCap: 10 }), [
    [10 * Math.tanh(0.45), 10 * Math.tanh(0.95), 10 * Math.tanh(1.45)],
  ])
})

test('a short convolution by hand, and as the identity', () => {
  const ops = opsOver({ w: [0.5, 1, 2, 0, 0, 1], b: [0, 100] })
  const x = rowsOf([1, 7], [2, 8], [3, 9])
  const options = { layer: 0, width: 2, weight: 'w', kernel: 3 }
  // The first channel weighs the token itself by 2, the one before by 1; the second only sees the token.
  expectRows(ops.shortConv(x, options), [
    [2, 7],
    [1 + 4, 8],
    [0.5 + 2 + 6, 9],
  ])
  expectRows(ops.shortConv(x, { ...options, bias: 'b' }), [
    [2, 107],
    [5, 108],
    [8.5, 109],
  ])
})

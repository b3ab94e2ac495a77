// Attention and convolution of the oracle.
import type { AttentionOptions } from '../ops.ts'
import { type Matrix, matrix } from './oracle_matrix.ts'

/**
 * The last query belongs to the last key.
 * @param options.sinks one logit per head that takes a share of the softmax and contributes nothing
 */
export function attend(options: {
  q: Matrix
  k: Matrix
  v: Matrix
  settings: AttentionOptions
  sinks?: ArrayLike<number>
}): Matrix {
  const { q, k, v, settings, sinks } = options
  const { heads, kvHeads, dHead, dValue = dHead, scale, softCap, window = k.rows } = settings
  const result = matrix(q.rows, heads * dValue)
  const first = k.rows - q.rows
  for (let head = 0; head < heads; head++) {
    const shared = Math.floor(head / (heads / kvHeads))
    for (let row = 0; row < q.rows; row++) {
      const query = q.data.subarray(row * q.width + head * dHead)
      const end = first + row + 1
      const start = Math.max(0, end - window)
      const scores: number[] = []
      for (let key = start; key < end; key++) {
        const at = key * k.width + shared * dHead
        let dot = 0
        for (let i = 0; i < dHead; i++) dot += query[i] * k.data[at + i]
        scores.push(softCap === undefined ? dot * scale : softCap * Math.tanh((dot * scale) / softCap))
      }
      const shares = softmax(sinks === undefined ? scores : [...scores, sinks[head]])
      for (let key = start; key < end; key++) {
        const at = key * v.width + shared * dValue
        const to = row * result.width + head * dValue
        for (let i = 0; i < dValue; i++) result.data[to + i] += shares[key - start] * v.data[at + i]
      }
    }
  }
  return result
}

function softmax(scores: readonly number[]): number[] {
  const largest = scores.reduce((most, score) => Math.max(most, score))
  const shares = scores.map(score => Math.exp(score - largest))
  const total = shares.reduce((sum, share) => sum + share, 0)
  return shares.map(share => share / total)
}

/**
 * @param options.x `kernel − 1` rows before the first token, then the tokens
 * @param options.weight [width, 1, kernel]
 * @returns one row per token
 */
export function convolve(options: {
  x: Matrix
  weight: ArrayLike<number>
  bias?: ArrayLike<number>
  kernel: number
}): Matrix {
  const { x, weight, bias, kernel } = options
  const result = matrix(x.rows - kernel + 1, x.width)
  for (let row = 0; row < result.rows; row++) {
    for (let channel = 0; channel < x.width; channel++) {
      let sum = bias?.[channel] ?? 0
      for (let j = 0; j < kernel; j++) {
        sum += weight[channel * kernel + j] * x.data[(row + j) * x.width + channel]
      }
      result.data[row * x.width + channel] = sum
    }
  }
  return result
}

/** Heads of x [tokens, heads · dHead], the first row at `position`; see `Ops.rotary`. */
export function turn(options: {
  x: Matrix
  position: number
  dHead: number
  rotaryDims: number
  interleaved: boolean
  /** cos and sin [positions, rotaryDims / 2]. */
  table: { cos: ArrayLike<number>; sin: ArrayLike<number> }
}): Matrix {
  const { x, position, dHead, rotaryDims, interleaved, table } = options
  const result = matrix(x.rows, x.width, x.data.slice())
  const half = rotaryDims / 2
  for (let row = 0; row < x.rows; row++) {
    const angles = (position + row) * half
    for (let head = row * x.width; head < (row + 1) * x.width; head += dHead) {
      for (let i = 0; i < half; i++) {
        const [cos, sin] = [table.cos[angles + i], table.sin[angles + i]]
        const [first, second] = interleaved ? [head + 2 * i, head + 2 * i + 1] : [head + i, head + half + i]
        const [a, b] = [x.data[first], x.data[second]]
        result.data[first] = a * cos - b * sin
        result.data[second] = b * cos + a * sin
      }
    }
  }
  return result
}

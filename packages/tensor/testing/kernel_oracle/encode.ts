// float64 oracles of assembly/encode.ts.

type Rows = { x: Float32Array; rows: number; ld: number; d: number }

/** @returns x with its columns [0, d) normalised, and shift and factor a row that undo it */
export function normaliseSpan({ x, rows, ld, d, kind }: Rows & { kind: 'token_rms' | 'layer_norm' }) {
  const out = Float64Array.from(x)
  const stats = new Float64Array(rows * 2)
  for (let r = 0; r < rows; r++) {
    const row = out.subarray(r * ld, r * ld + d)
    const shift = kind === 'token_rms' ? 0 : row.reduce((sum, value) => sum + value, 0) / d
    const squares = row.reduce((sum, value) => sum + (value - shift) ** 2, 0)
    const factor = Math.sqrt(squares / (kind === 'token_rms' ? d : Math.max(d - 1, 1)))
    const divisor = kind === 'token_rms' ? factor || 1 : factor + 1e-5
    for (let j = 0; j < d; j++) row[j] = (row[j] - shift) / divisor
    stats.set([shift, factor], 2 * r)
  }
  return { out, stats }
}

export function restoreSpan({ x, rows, ld, d, stats }: Rows & { stats: Float32Array }): Float64Array {
  const out = Float64Array.from(x)
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < d; j++) out[r * ld + j] = out[r * ld + j] * stats[2 * r + 1] + stats[2 * r]
  }
  return out
}

export type HitRows = { starts: Int32Array; index: Int32Array; value: Float32Array }

/** Lists of (latent, value) a row as one list with starts. */
function hitRows(rows: readonly (readonly [latent: number, value: number])[][]): HitRows {
  const starts = new Int32Array(rows.length + 1)
  for (const [r, row] of rows.entries()) starts[r + 1] = starts[r] + row.length
  const flat = rows.flat()
  return {
    starts,
    index: Int32Array.from(flat, ([latent]) => latent),
    value: Float32Array.from(flat, ([, value]) => value),
  }
}

export function packRows({
  index,
  value,
  rows,
  k,
}: {
  index: Int32Array
  value: Float32Array
  rows: number
  k: number
}): HitRows {
  return hitRows(
    Array.from({ length: rows }, (_, r) =>
      Array.from({ length: k }, (_, i): [number, number] => [index[r * k + i], value[r * k + i]]).filter(
        ([, v]) => v !== 0,
      ),
    ),
  )
}

/** `hits` are those whose gate is open; z [rows, ld]. */
export function gateSpans(options: {
  z: Float32Array
  ld: number
  hits: HitRows
  er: Float32Array
  bMag: Float32Array
}): HitRows {
  const { z, ld, hits, er, bMag } = options
  return hitRows(
    Array.from({ length: hits.starts.length - 1 }, (_, r) =>
      Array.from(hits.index.subarray(hits.starts[r], hits.starts[r + 1]), (i): [number, number] => [
        i,
        z[r * ld + i] * er[i] + bMag[i],
      ]).filter(([, v]) => !(v <= 0)),
    ),
  )
}

/** init + Σ value·wDec[index] of each row, float64 [rows, d]; `own`: an init for each row, else one for all. */
export function decodeLists(options: {
  hits: HitRows
  wDec: Float32Array
  d: number
  init: Float32Array
  own: boolean
}): Float64Array {
  const { hits, wDec, d, init, own } = options
  const out = new Float64Array((hits.starts.length - 1) * d)
  return out.map((_, at) => {
    const [r, j] = [Math.floor(at / d), at % d]
    let sum = init[(own ? r * d : 0) + j]
    for (let p = hits.starts[r]; p < hits.starts[r + 1]; p++)
      sum += hits.value[p] * wDec[hits.index[p] * d + j]
    return sum
  })
}

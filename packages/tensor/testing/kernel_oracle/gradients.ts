// Float64 oracle of the sparse backward kernels (assembly/gradients.ts).
// With a hit p = (row r, latent i): dL/dW_dec,i += f_p·scale·e_r, dL/dW_enc,i += g_p·xc_r, dL/db_enc,i += g_p.

/** Flat positions of each latent's hits, ascending; `skipZero` leaves out values of 0. */
export function buildLists(options: {
  index: ArrayLike<number>
  value: ArrayLike<number>
  n: number
  m: number
  skipZero: boolean
}): { starts: Int32Array; entries: Int32Array } {
  const { index, value, n, m, skipZero } = options
  const lists: number[][] = Array.from({ length: m }, () => [])
  for (let p = 0; p < n; p++) if (!skipZero || value[p] !== 0) lists[index[p]].push(p)
  const starts = new Int32Array(m + 1)
  lists.forEach((list, i) => {
    starts[i + 1] = starts[i] + list.length
  })
  return { starts, entries: Int32Array.from(lists.flat()) }
}

/** One selection's share of the gradients: lists of hits, kept values, their gradients, the residual. */
export type GradientPart = {
  starts: ArrayLike<number>
  entries: ArrayLike<number>
  k: number
  value: ArrayLike<number>
  g: ArrayLike<number>
  e: ArrayLike<number>
  scale: number
}

/**
 * Gradients of latents [lo, hi): gDec and gEnc [hi − lo, d], gBEnc [hi − lo], which latents had a hit, and the
 * sum of squares of all a latent's gradients. `slot` maps a latent to its list in the auxiliary part (−1: none).
 * With `wDec` the component of gDec along the decoder row is removed.
 */
export function weightGrads(options: {
  lo: number
  hi: number
  d: number
  main: GradientPart
  aux?: GradientPart & { slot: ArrayLike<number> }
  xc: ArrayLike<number>
  wDec?: ArrayLike<number>
}): { gDec: Float64Array; gEnc: Float64Array; gBEnc: Float64Array; touched: Uint8Array; sq: Float64Array } {
  const { lo, hi, d, main, aux, xc, wDec } = options
  const n = hi - lo
  const gDec = new Float64Array(n * d)
  const gEnc = new Float64Array(n * d)
  const gBEnc = new Float64Array(n)
  const touched = new Uint8Array(n)
  const sq = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    const dec = gDec.subarray(i * d, (i + 1) * d)
    const enc = gEnc.subarray(i * d, (i + 1) * d)
    const add = ({ starts, entries, k, value, g, e, scale }: GradientPart, list: number) => {
      for (let at = starts[list]; at < starts[list + 1]; at++) {
        const p = entries[at]
        const row = Math.floor(p / k) * d
        for (let j = 0; j < d; j++) {
          dec[j] += value[p] * scale * e[row + j]
          enc[j] += g[p] * xc[row + j]
        }
        gBEnc[i] += g[p]
        touched[i] = 1
      }
    }
    add(main, lo + i)
    if (aux !== undefined && aux.slot[lo + i] >= 0) add(aux, aux.slot[lo + i])
    if (wDec !== undefined && touched[i] === 1) {
      const row = Array.from({ length: d }, (_, j) => wDec[(lo + i) * d + j])
      const norm = row.reduce((sum, w) => sum + w * w, 0)
      const along = row.reduce((sum, w, j) => sum + w * dec[j], 0) / norm
      if (norm > 0) for (let j = 0; j < d; j++) dec[j] -= along * row[j]
    }
    for (let j = 0; j < d; j++) sq[i] += dec[j] ** 2 + enc[j] ** 2
    sq[i] += gBEnc[i] ** 2
  }
  return { gDec, gEnc, gBEnc, touched, sq }
}

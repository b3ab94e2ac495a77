// How much of a ground truth an SAE found. Every true direction counts, found or not, but only latents that
// fire: a dead latent has found nothing, and is not a false discovery either.

export type Recovery = {
  /** Share of the true directions with a latent of cosine ≥ `recoveredFrom`. */
  recovered: number
  /** Mean over true directions of the largest cosine with an alive latent; 0 if none is alive. */
  mmcs: number
  /** Share of the alive latents with a true direction of cosine ≥ `recoveredFrom`; null if none is alive. */
  precision: number | null
}

/** A direction is found by a latent whose cosine with it is at least this. */
export const recoveredFrom = 0.9

/**
 * @param options.directions rows [n, d_in] of any length but 0
 * @param options.latents decoder rows [d_sae, d_in]; zero rows are not latents
 * @param options.alive [d_sae], 1 for latents that count
 */
export function scoreRecovery(options: {
  directions: Float32Array
  latents: Float32Array
  alive: Uint8Array
  dIn: number
}): Recovery {
  const { alive, dIn } = options
  const directions = unit(options.directions, dIn)
  const latents = unit(options.latents, dIn)
  const n = directions.length / dIn
  const best = new Float64Array(n)
  let counted = 0
  let found = 0
  for (let l = 0; l < alive.length; l++) {
    if (alive[l] === 0) continue
    counted++
    let most = 0
    for (let i = 0; i < n; i++) {
      let cosine = 0
      for (let j = 0; j < dIn; j++) cosine += latents[l * dIn + j] * directions[i * dIn + j]
      if (cosine > best[i]) best[i] = cosine
      if (cosine > most) most = cosine
    }
    if (most >= recoveredFrom) found++
  }
  return {
    recovered: best.reduce((count, cosine) => count + (cosine >= recoveredFrom ? 1 : 0), 0) / n,
    mmcs: best.reduce((sum, cosine) => sum + cosine, 0) / n,
    precision: counted === 0 ? null : found / counted,
  }
}

/** Rows divided by their norms, float64; zero rows stay zero. */
function unit(rows: Float32Array, width: number): Float64Array {
  const result = Float64Array.from(rows)
  for (let from = 0; from < rows.length; from += width) {
    let squares = 0
    for (let j = 0; j < width; j++) squares += result[from + j] ** 2
    const norm = Math.sqrt(squares)
    if (norm === 0) continue
    for (let j = 0; j < width; j++) result[from + j] /= norm
  }
  return result
}

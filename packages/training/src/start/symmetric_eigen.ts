// Eigenvalues and eigenvectors of a real symmetric matrix in float64: Householder's reduction to a tridiagonal matrix,
// then the QL iteration with implicit shifts (Martin, Reinsch, Wilkinson 1968). About 6·n³ operations: a second at 512.

/**
 * @param matrix symmetric, row-major [n, n]; overwritten
 * @returns `values` [n], unordered, and `vectors`, row i belonging to values[i]
 */
export function symmetricEigen(
  matrix: Float64Array,
  n: number,
): { values: Float64Array; vectors: Float64Array } {
  const { diagonal, beside, vectors } = tridiagonal(matrix, n)
  iterate({ n, diagonal, beside, vectors })
  return { values: diagonal, vectors }
}

/** Qᵀ A Q = T; `beside[i]` is T[i, i + 1]. `vectors` is Qᵀ. */
function tridiagonal(a: Float64Array, n: number) {
  const reflectors: { v: Float64Array; beta: number }[] = []
  for (let k = 0; k + 2 < n; k++) {
    const size = n - k - 1
    const v = new Float64Array(size)
    let square = 0
    for (let i = 0; i < size; i++) {
      v[i] = a[(k + 1 + i) * n + k]
      square += v[i] * v[i]
    }
    const length = Math.sqrt(square)
    const target = v[0] > 0 ? -length : length
    const beta = length === 0 ? 0 : 1 / (square - v[0] * target)
    v[0] -= target
    reflectors.push({ v, beta })
    if (beta === 0) continue
    // A ← A − v wᵀ − w vᵀ with p = β A v, w = p − (β/2)(pᵀv) v.
    const w = new Float64Array(size)
    let product = 0
    for (let i = 0; i < size; i++) {
      const row = (k + 1 + i) * n + k + 1
      let sum = 0
      for (let j = 0; j < size; j++) sum += a[row + j] * v[j]
      w[i] = beta * sum
      product += w[i] * v[i]
    }
    for (let i = 0; i < size; i++) w[i] -= 0.5 * beta * product * v[i]
    for (let i = 0; i < size; i++) {
      const row = (k + 1 + i) * n + k + 1
      const vi = v[i]
      const wi = w[i]
      for (let j = 0; j < size; j++) a[row + j] -= vi * w[j] + wi * v[j]
    }
    a[(k + 1) * n + k] = target
  }
  const diagonal = Float64Array.from({ length: n }, (_, i) => a[i * n + i])
  const beside = Float64Array.from({ length: n }, (_, i) => (i + 1 < n ? a[(i + 1) * n + i] : 0))
  // Qᵀ = … H₁ H₀, each H on the columns from k + 1: built from the last, so that only the filled corner is touched.
  const vectors = new Float64Array(n * n)
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1
  for (let k = reflectors.length - 1; k >= 0; k--) {
    const { v, beta } = reflectors[k]
    if (beta === 0) continue
    for (let i = k + 1; i < n; i++) {
      const row = i * n + k + 1
      let sum = 0
      for (let j = 0; j < v.length; j++) sum += vectors[row + j] * v[j]
      sum *= beta
      for (let j = 0; j < v.length; j++) vectors[row + j] -= sum * v[j]
    }
  }
  return { diagonal, beside, vectors }
}

function iterate(options: {
  n: number
  diagonal: Float64Array
  beside: Float64Array
  vectors: Float64Array
}): void {
  const { n, diagonal: d, beside: e, vectors: z } = options
  for (let l = 0; l < n; l++) {
    for (let round = 0; ; round++) {
      let m = l
      while (m + 1 < n && Math.abs(e[m]) > Number.EPSILON * (Math.abs(d[m]) + Math.abs(d[m + 1]))) m++
      if (m === l) break
      if (round === 60) throw new Error('the eigenvalues of the covariance do not converge')
      const half = (d[l + 1] - d[l]) / (2 * e[l])
      const root = Math.hypot(half, 1)
      let g = d[m] - d[l] + e[l] / (half + (half >= 0 ? root : -root))
      let s = 1
      let c = 1
      let p = 0
      let i = m - 1
      for (; i >= l; i--) {
        const f = s * e[i]
        const b = c * e[i]
        const r = Math.hypot(f, g)
        e[i + 1] = r
        if (r === 0) {
          d[i + 1] -= p
          e[m] = 0
          break
        }
        s = f / r
        c = g / r
        g = d[i + 1] - p
        const t = (d[i] - g) * s + 2 * c * b
        p = s * t
        d[i + 1] = g + p
        g = c * t - b
        const low = i * n
        const high = low + n
        for (let j = 0; j < n; j++) {
          const upper = z[high + j]
          z[high + j] = s * z[low + j] + c * upper
          z[low + j] = c * z[low + j] - s * upper
        }
      }
      if (i >= l) continue
      d[l] -= p
      e[l] = g
      e[m] = 0
    }
  }
}

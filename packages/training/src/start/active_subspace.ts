// The active subspace of activations: the principal directions with nearly all of their variance. Decoder rows that
// start inside it are not born dead when activations have low rank, as attention outputs do (arXiv 2508.16929).
import { columnMeans } from './geometric_median.ts'
import { symmetricEigen } from './symmetric_eigen.ts'

/** The share of the variance that counts as active. */
const activeVariance = 0.99
/** Most rows used to find directions: the work grows as the cube of the smaller of rows and width. */
const mostRows = 1024
/** Most directions that one decoder row mixes. */
const mixed = 64

/** Orthonormal rows [directions, width] of the subspace, strongest first. */
export function activeSubspace(options: { rows: Float32Array; width: number }): Float64Array {
  const { width } = options
  const rows = centred(options)
  const count = rows.length / width
  // The smaller of XᵀX [width, width] and XXᵀ [count, count], which have the same eigenvalues.
  const byWidth = width <= count
  const size = byWidth ? width : count
  const gram = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0
      if (byWidth) for (let r = 0; r < rows.length; r += width) sum += rows[r + i] * rows[r + j]
      else for (let c = 0; c < width; c++) sum += rows[i * width + c] * rows[j * width + c]
      gram[i * size + j] = sum
      gram[j * size + i] = sum
    }
  }
  const { values, vectors } = symmetricEigen(gram, size)
  const order = [...values.keys()].sort((a, b) => values[b] - values[a])
  const total = values.reduce((sum, value) => sum + Math.max(0, value), 0)
  const kept: number[] = []
  let held = 0
  for (const i of order) {
    if (held >= activeVariance * total || values[i] <= 1e-12 * total) break
    held += values[i]
    kept.push(i)
  }
  const directions = new Float64Array(kept.length * width)
  for (const [k, i] of kept.entries()) {
    const vector = vectors.subarray(i * size, (i + 1) * size)
    const at = k * width
    if (byWidth) directions.set(vector, at)
    else {
      for (let r = 0; r < count; r++)
        for (let j = 0; j < width; j++) directions[at + j] += vector[r] * rows[r * width + j]
      const length = Math.sqrt(values[i])
      for (let j = 0; j < width; j++) directions[at + j] /= length
    }
  }
  return directions
}

/** A draw of entries, row by row, of vectors inside the subspace: Gaussian mixes of its directions, 64 of them at most. */
export function drawInside(options: {
  directions: Float64Array
  width: number
  gaussian: () => number
  uniform: () => number
}): () => number {
  const { directions, width, gaussian, uniform } = options
  const count = directions.length / width
  const row = new Float64Array(width)
  let next = width
  return () => {
    if (next === width) {
      next = 0
      row.fill(0)
      for (let m = 0; m < Math.min(count, mixed); m++) {
        const at = (count <= mixed ? m : Math.floor(uniform() * count)) * width
        const weight = gaussian()
        for (let j = 0; j < width; j++) row[j] += weight * directions[at + j]
      }
    }
    return row[next++]
  }
}

/** Evenly spaced rows minus their mean. */
function centred(options: { rows: Float32Array; width: number }): Float64Array {
  const { rows, width } = options
  const all = rows.length / width
  const count = Math.min(all, mostRows)
  const few = new Float32Array(count * width)
  for (let r = 0; r < count; r++) {
    const row = Math.floor((r * all) / count)
    few.set(rows.subarray(row * width, (row + 1) * width), r * width)
  }
  const mean = columnMeans({ rows: few, width })
  return Float64Array.from(few, (value, i) => value - mean[i % width])
}

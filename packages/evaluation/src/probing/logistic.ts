// Logistic regression in float64, by deterministic full-batch methods: no seed or step size to choose. Rows are dense or
// lists of hits; an L2 penalty as scikit-learn's (½‖w‖² against C Σ loss, no penalty on the bias), an L1 penalty to choose latents.

/** A linear score w·x + bias; positive means the class. */
export type Probe = { weights: Float64Array; bias: number }

/** Examples by row: the columns that are not 0, and their values. */
export type SparseRows = {
  width: number
  rows: readonly { index: ArrayLike<number>; value: ArrayLike<number> }[]
}

export const scoreOf = (probe: Probe, { index, value }: SparseRows['rows'][number]): number => {
  let sum = probe.bias
  for (let i = 0; i < index.length; i++) sum += probe.weights[index[i]] * value[i]
  return sum
}

/** Dense float rows [n, width]. */
export function denseRows(values: ArrayLike<number>, width: number): SparseRows {
  const index = Int32Array.from({ length: width }, (_, j) => j)
  const count = values.length / width
  return {
    width,
    rows: Array.from({ length: count }, (_, r) => ({
      index,
      value: Float64Array.from({ length: width }, (_, j) => values[r * width + j]),
    })),
  }
}

/** Weight of each example: 1, or so that both classes weigh the same (`balanced`, as scikit-learn's class_weight). */
function weightsOf(labels: Uint8Array, balanced: boolean): Float64Array {
  const positive = labels.reduce((sum, label) => sum + label, 0)
  const share = [labels.length - positive, positive].map(count => labels.length / (2 * Math.max(count, 1)))
  return Float64Array.from(labels, label => (balanced ? share[label] : 1))
}

const softplus = (z: number) => (z > 0 ? z + Math.log1p(Math.exp(-z)) : Math.log1p(Math.exp(z)))

/** Mean weighted loss; its gradient is written into `gradient` [width + 1], the bias last. */
function logLoss(options: {
  data: SparseRows
  labels: Uint8Array
  weights: Float64Array
  at: Float64Array
  gradient: Float64Array
}): number {
  const { data, labels, weights, at, gradient } = options
  const { rows, width } = data
  gradient.fill(0)
  let loss = 0
  for (let r = 0; r < rows.length; r++) {
    const { index, value } = rows[r]
    let z = at[width]
    for (let i = 0; i < index.length; i++) z += at[index[i]] * value[i]
    const signed = labels[r] === 1 ? -z : z
    const weight = weights[r] / rows.length
    loss += weight * softplus(signed)
    const slope = (labels[r] === 1 ? -weight : weight) / (1 + Math.exp(-signed))
    for (let i = 0; i < index.length; i++) gradient[index[i]] += slope * value[i]
    gradient[width] += slope
  }
  return loss
}

/**
 * L-BFGS on mean loss + ‖w‖² / (2 C n). Columns are scaled inside to mean square 1 for speed; the penalty applies to the
 * columns as given, so this does not change the result.
 * @param options.C default 1, as scikit-learn's
 */
export function fitLogistic(options: {
  data: SparseRows
  labels: Uint8Array
  balanced?: boolean
  C?: number
  maxIterations?: number
}): Probe {
  const { data, labels, balanced = false, C = 1, maxIterations = 500 } = options
  const { width } = data
  const weights = weightsOf(labels, balanced)
  const strength = 1 / (C * Math.max(data.rows.length, 1))
  const at = new Float64Array(width + 1)
  const objective = (point: Float64Array, gradient: Float64Array) => {
    let loss = logLoss({ data, labels, weights, at: point, gradient })
    for (let j = 0; j < width; j++) {
      loss += (strength / 2) * point[j] ** 2
      gradient[j] += strength * point[j]
    }
    return loss
  }
  minimise({ at, objective, scales: columnScales(data), maxIterations, tolerance: 1e-7 })
  return { weights: at.slice(0, width), bias: at[width] }
}

/** 1 / root mean square of each column, 1 for the bias and for empty columns: a diagonal preconditioner. */
function columnScales({ rows, width }: SparseRows): Float64Array {
  const squares = new Float64Array(width + 1)
  for (const { index, value } of rows) {
    for (let i = 0; i < index.length; i++) squares[index[i]] += value[i] ** 2
  }
  squares[width] = rows.length
  return squares.map(sum => (sum > 0 ? Math.sqrt(rows.length / sum) : 1))
}

const dot = (a: Float64Array, b: Float64Array) => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

/** L-BFGS (Nocedal and Wright, algorithm 7.4) with backtracking; `at` is moved to the minimum. */
function minimise(options: {
  at: Float64Array
  objective: (point: Float64Array, gradient: Float64Array) => number
  scales: Float64Array
  maxIterations: number
  /** Stops when the largest entry of the scaled gradient is at most this. */
  tolerance: number
}): void {
  const { at, objective, scales, maxIterations, tolerance } = options
  const memory: { s: Float64Array; y: Float64Array; rho: number }[] = []
  let gradient = new Float64Array(at.length)
  let loss = objective(at, gradient)
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    if (gradient.every((value, i) => Math.abs(value * scales[i]) < tolerance)) return
    const direction = gradient.map(value => -value)
    const alphas: number[] = []
    for (const { s, y, rho } of memory.toReversed()) {
      const alpha = rho * dot(s, direction)
      alphas.unshift(alpha)
      for (let i = 0; i < direction.length; i++) direction[i] -= alpha * y[i]
    }
    const last = memory.at(-1)
    const size =
      last === undefined
        ? 1
        : dot(last.s, last.y) / last.y.reduce((sum, value, i) => sum + (value * scales[i]) ** 2, 0)
    for (let i = 0; i < direction.length; i++) direction[i] *= size * scales[i] ** 2
    memory.forEach(({ s, y, rho }, m) => {
      const beta = rho * dot(y, direction)
      for (let i = 0; i < direction.length; i++) direction[i] += (alphas[m] - beta) * s[i]
    })
    const slope = dot(gradient, direction)
    if (slope >= 0) return
    const next = new Float64Array(at.length)
    const nextGradient = new Float64Array(at.length)
    let step = 1
    let nextLoss = Number.POSITIVE_INFINITY
    while (step > 1e-12) {
      for (let i = 0; i < at.length; i++) next[i] = at[i] + step * direction[i]
      nextLoss = objective(next, nextGradient)
      if (nextLoss <= loss + 1e-4 * step * slope) break
      step /= 2
    }
    if (!(nextLoss < loss)) return
    const s = next.map((value, i) => value - at[i])
    const y = nextGradient.map((value, i) => value - gradient[i])
    const curvature = dot(s, y)
    if (curvature > 1e-14) memory.push({ s, y, rho: 1 / curvature })
    if (memory.length > 10) memory.shift()
    at.set(next)
    gradient = nextGradient
    loss = nextLoss
  }
}

/**
 * Mean loss + `l1` · ‖w‖₁ by FISTA (Beck and Teboulle 2009), balanced: for choosing columns that predict the class.
 * Columns are not scaled, so the step follows from the largest eigenvalue, bounded by power iteration.
 */
export function fitLasso(options: {
  data: SparseRows
  labels: Uint8Array
  l1: number
  iterations?: number
}): Probe {
  const { data, labels, l1, iterations = 300 } = options
  const { width } = data
  const weights = weightsOf(labels, true)
  const step = 1 / Math.max(lipschitz(data, weights), 1e-12)
  const gradient = new Float64Array(width + 1)
  let at = new Float64Array(width + 1)
  let ahead = at.slice()
  let momentum = 1
  for (let iteration = 0; iteration < iterations; iteration++) {
    logLoss({ data, labels, weights, at: ahead, gradient })
    const next = new Float64Array(width + 1)
    for (let j = 0; j <= width; j++) {
      const moved = ahead[j] - step * gradient[j]
      next[j] = j === width ? moved : Math.sign(moved) * Math.max(Math.abs(moved) - step * l1, 0)
    }
    const grown = (1 + Math.sqrt(1 + 4 * momentum ** 2)) / 2
    ahead = next.map((value, j) => value + ((momentum - 1) / grown) * (value - at[j]))
    at = next
    momentum = grown
  }
  return { weights: at.slice(0, width), bias: at[width] }
}

/** A tight upper bound of the loss's curvature: ¼ λ_max(Σ weight x xᵀ) / n. */
function lipschitz({ rows, width }: SparseRows, weights: Float64Array): number {
  let vector = new Float64Array(width + 1).fill(1 / Math.sqrt(width + 1))
  let value = 0
  for (let iteration = 0; iteration < 30; iteration++) {
    const next = new Float64Array(width + 1)
    rows.forEach(({ index, value: values }, r) => {
      let along = vector[width]
      for (let i = 0; i < index.length; i++) along += vector[index[i]] * values[i]
      along *= weights[r] / rows.length
      for (let i = 0; i < index.length; i++) next[index[i]] += along * values[i]
      next[width] += along
    })
    value = Math.sqrt(dot(next, next))
    if (value === 0) return 0
    vector = next.map(entry => entry / value)
  }
  return (1.1 * value) / 4
}

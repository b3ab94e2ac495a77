// TopK in plain float64 TypeScript: slow, short and close to the formulas, the judge of the fast path.
// Gao et al. 2024 (arXiv 2406.04093): f = ReLU(TopK(W_enc (x − b_dec) + b_enc)), x̂ = W_decᵀ f + b_dec,
// L = mean_B ‖x̂ − x‖² + α · AuxK. Gradients are those of the surrogate: the selected sets, the residual AuxK
// reconstructs and its denominator are constants.
import type { SaeShape } from './families.ts'
import type { TopKConfig } from './topk_config.ts'

/** Parameters in float64, feature-major as `SaeWeights`. */
export type OracleWeights = {
  wEnc: Float64Array
  bEnc: Float64Array
  wDec: Float64Array
  bDec: Float64Array
}

/** What is held constant when the surrogate is differentiated. */
export type Frozen = {
  selected: Int32Array[]
  auxSelected: Int32Array[]
  residual: Float64Array
  denominator: number
}

export type OracleResult = {
  mse: number
  aux: number
  loss: number
  featureActs: Float64Array // [n, d_sae]
  reconstruction: Float64Array // [n, d_in]
  preActivations: Float64Array // [n, d_sae]
  frozen: Frozen
}

type Given = {
  weights: OracleWeights
  shape: SaeShape
  config: TopKConfig
  x: ArrayLike<number>
  dead?: Uint8Array
}

/** The k largest entries by (value descending, index ascending), returned in ascending index order. */
export function largest(values: ArrayLike<number>, candidates: Int32Array, k: number): Int32Array {
  return candidates
    .slice()
    .sort((a, b) => values[b] - values[a] || a - b)
    .slice(0, k)
    .sort()
}

/** Loss and activations; pass `frozen` to hold the selected sets, residual and denominator of another point. */
export function topkForward({
  weights,
  shape,
  config,
  x,
  dead,
  frozen,
}: Given & { frozen?: Frozen }): OracleResult {
  const { dIn, dSae } = shape
  const n = x.length / dIn
  const pre = new Float64Array(n * dSae)
  const acts = new Float64Array(n * dSae)
  const out = new Float64Array(n * dIn)
  const all = Int32Array.from({ length: dSae }, (_, i) => i)
  const selected: Int32Array[] = []
  let mse = 0
  for (let r = 0; r < n; r++) {
    const row = pre.subarray(r * dSae, (r + 1) * dSae)
    for (let i = 0; i < dSae; i++) {
      let sum = weights.bEnc[i]
      for (let j = 0; j < dIn; j++) sum += weights.wEnc[i * dIn + j] * (x[r * dIn + j] - weights.bDec[j])
      row[i] = sum
    }
    const chosen = frozen?.selected[r] ?? largest(row, all, config.k)
    selected.push(chosen)
    for (let j = 0; j < dIn; j++) out[r * dIn + j] = weights.bDec[j]
    for (const i of chosen) {
      const value = Math.max(0, row[i])
      acts[r * dSae + i] = value
      for (let j = 0; j < dIn; j++) out[r * dIn + j] += value * weights.wDec[i * dIn + j]
    }
    for (let j = 0; j < dIn; j++) mse += (out[r * dIn + j] - x[r * dIn + j]) ** 2 / n
  }
  const residual = frozen?.residual ?? Float64Array.from(out, (v, at) => x[at] - v)
  const auxiliary = auxForward({ weights, shape, config, pre, residual, dead, n, frozen })
  return {
    mse,
    aux: auxiliary.aux,
    loss: mse + config.auxCoefficient * auxiliary.aux,
    featureActs: acts,
    reconstruction: out,
    preActivations: pre,
    frozen: { selected, auxSelected: auxiliary.selected, residual, denominator: auxiliary.denominator },
  }
}

function auxForward(given: {
  weights: OracleWeights
  shape: SaeShape
  config: TopKConfig
  pre: Float64Array
  residual: Float64Array
  dead?: Uint8Array
  n: number
  frozen?: Frozen
}): { aux: number; selected: Int32Array[]; denominator: number } {
  const { weights, shape, config, pre, residual, dead, n, frozen } = given
  const { dIn, dSae } = shape
  const deadList = Int32Array.from(dead ?? [], (flag, i) => (flag ? i : -1)).filter(i => i >= 0)
  if (deadList.length === 0 || config.auxCoefficient === 0) return { aux: 0, selected: [], denominator: 1 }
  const kAux = Math.min(config.kAux, deadList.length)
  const denominator = frozen?.denominator ?? auxDenominator(residual, dIn, n, config)
  const selected: Int32Array[] = []
  let squared = 0
  for (let r = 0; r < n; r++) {
    const row = pre.subarray(r * dSae, (r + 1) * dSae)
    const chosen = frozen?.auxSelected[r] ?? largest(row, deadList, kAux)
    selected.push(chosen)
    for (let j = 0; j < dIn; j++) {
      let estimate = 0
      for (const i of chosen) estimate += auxValue(row[i], config) * weights.wDec[i * dIn + j]
      squared += (estimate - residual[r * dIn + j]) ** 2 / n
    }
  }
  return { aux: (squared * auxScale(config, deadList.length)) / denominator, selected, denominator }
}

const auxValue = (pre: number, config: TopKConfig) => (config.auxRelu ? Math.max(0, pre) : pre)

/** SAELens scales AuxK by min(dead / k_aux, 1); dictionary_learning by 1. */
export const auxScale = (config: TopKConfig, deadCount: number) =>
  config.auxScaleByDead ? Math.min(deadCount / config.kAux, 1) : 1

/** mean_B ‖r − r̄‖² with r̄ the batch mean, or 1 where AuxK is not normalised. */
export function auxDenominator(
  residual: ArrayLike<number>,
  dIn: number,
  n: number,
  config: TopKConfig,
): number {
  if (config.auxNormalisation === 'none') return 1
  let total = 0
  for (let j = 0; j < dIn; j++) {
    let mean = 0
    for (let r = 0; r < n; r++) mean += residual[r * dIn + j] / n
    for (let r = 0; r < n; r++) total += (residual[r * dIn + j] - mean) ** 2 / n
  }
  return total
}

/** Analytic gradients of the surrogate at the same point, before the decoder projection and the clip. */
export function topkGradients(given: Given): OracleWeights & { result: OracleResult } {
  const { weights, shape, config, x, dead } = given
  const { dIn, dSae } = shape
  const n = x.length / dIn
  const result = topkForward(given)
  const wEnc = new Float64Array(dSae * dIn)
  const wDec = new Float64Array(dSae * dIn)
  const bEnc = new Float64Array(dSae)
  const bDec = new Float64Array(dIn)
  const { selected, auxSelected, residual, denominator } = result.frozen
  const deadCount = dead?.reduce((sum, flag) => sum + flag, 0) ?? 0
  const auxWeight = (config.auxCoefficient * auxScale(config, deadCount)) / denominator

  /** Adds one latent's share for an output error `error` [d_in] already scaled to dL/dx̂. */
  const addLatent = (r: number, i: number, value: number, open: boolean, error: Float64Array) => {
    let upstream = 0
    for (let j = 0; j < dIn; j++) {
      wDec[i * dIn + j] += value * error[j]
      upstream += error[j] * weights.wDec[i * dIn + j]
    }
    if (!open) return
    bEnc[i] += upstream
    for (let j = 0; j < dIn; j++) {
      wEnc[i * dIn + j] += upstream * (x[r * dIn + j] - weights.bDec[j])
      bDec[j] -= upstream * weights.wEnc[i * dIn + j]
    }
  }
  const error = new Float64Array(dIn)
  for (let r = 0; r < n; r++) {
    const row = result.preActivations.subarray(r * dSae, (r + 1) * dSae)
    for (let j = 0; j < dIn; j++) {
      error[j] = (2 / n) * (result.reconstruction[r * dIn + j] - x[r * dIn + j])
      bDec[j] += error[j]
    }
    for (const i of selected[r]) addLatent(r, i, Math.max(0, row[i]), row[i] > 0, error)
    if (auxSelected.length === 0) continue
    for (let j = 0; j < dIn; j++) {
      let estimate = 0
      for (const i of auxSelected[r]) estimate += auxValue(row[i], config) * weights.wDec[i * dIn + j]
      error[j] = (2 / n) * auxWeight * (estimate - residual[r * dIn + j])
    }
    for (const i of auxSelected[r])
      addLatent(r, i, auxValue(row[i], config), !config.auxRelu || row[i] > 0, error)
  }
  return { wEnc, bEnc, wDec, bDec, result }
}

/** Removes from each decoder row's gradient its component along the row (unit-norm constraint). */
export function removeParallel(gradient: Float64Array, wDec: ArrayLike<number>, dIn: number): void {
  for (let i = 0; i < gradient.length; i += dIn) {
    let dot = 0
    let square = 0
    for (let j = 0; j < dIn; j++) {
      dot += gradient[i + j] * wDec[i + j]
      square += wDec[i + j] ** 2
    }
    if (square > 0) for (let j = 0; j < dIn; j++) gradient[i + j] -= (dot / square) * wDec[i + j]
  }
}

// What happens to single hits between the workers' phases: activations from pre-activations, and gradients of the
// pre-activations from u = ⟨dL/dx̂, d⟩. The formulas are plan.ts's; the dense kernels (tensor's assembly/activation.ts) do
// the same for whole matrices.
import type { Dynamics, Plan } from '../plan.ts'
import type { Hits } from './hits.ts'

/** By latent, all float32 or float64 [latents of the block]. */
export type LatentSums = {
  /** Tokens at which it fired. */
  fired: Float64Array
  /** Σ f. */
  activation: Float64Array
  /** dL/dθ, dL/db_gate, dL/db_mag, dL/dr_mag. */
  threshold: Float64Array
  gate: Float64Array
  magnitude: Float64Array
  scale: Float64Array
  /** dL/dn_i. */
  norm: Float64Array
  /** Of the penalty, without its coefficient: Σ f, Σ f^p, Σ tanh, Σ ReLU(π). */
  penalty: Float64Array
  /** Count of hits with π ≥ θ and Σ π over them, for the pre-act loss. */
  open: Float64Array
  openPre: Float64Array
}

export function emptySums(latents: number): LatentSums {
  const zeros = () => new Float64Array(latents)
  return {
    fired: zeros(),
    activation: zeros(),
    threshold: zeros(),
    gate: zeros(),
    magnitude: zeros(),
    scale: zeros(),
    norm: zeros(),
    penalty: zeros(),
    open: zeros(),
    openPre: zeros(),
  }
}

/** Parameters of the block's latents that single hits need. */
export type LatentValues = {
  threshold: Float32Array
  bEnc: Float32Array
  /** exp(r_mag). */
  magnitude: Float32Array
  bMag: Float32Array
  norms: Float32Array
}

/** f of every hit, if it is not π itself; counts what fired. @returns firing hits */
export function activate(
  plan: Plan,
  hits: Hits,
  values: LatentValues,
  sums: LatentSums,
  rowCount: Int32Array,
): number {
  const { index, row, pre, value, count } = hits
  const { fired, activation } = sums
  let firing = 0
  switch (plan.selection.kind) {
    case 'jumprelu':
      for (let p = 0; p < count; p++) value[p] = pre[p] <= values.threshold[index[p]] ? 0 : pre[p]
      break
    case 'gated':
      for (let p = 0; p < count; p++) {
        const i = index[p]
        const f = (pre[p] - values.bEnc[i]) * values.magnitude[i] + values.bMag[i]
        value[p] = Math.max(0, f)
      }
      break
  }
  rowCount.fill(0)
  for (let p = 0; p < count; p++) {
    const f = value[p]
    if (f === 0) continue
    const i = index[p]
    firing++
    fired[i]++
    activation[i] += f
    rowCount[row[p]]++
  }
  return firing
}

/** The coefficients of one step, each divided by the batch's rows if it is a mean over rows. */
export type StepRates = {
  /** 2/B. */
  scale: number
  /** λ/B of a penalty on f or ReLU(π); 0 if there is none. */
  penalty: number
  /** Coefficient of a hit's H(π − θ): λ/B, or 2λ(L0/target − 1)/(target·B). */
  step: number
}

export function ratesOf(plan: Plan, dynamics: Dynamics, rows: number, l0: number): StepRates {
  const { penalty } = plan
  const rates = { scale: 2 / rows, penalty: 0, step: 0 }
  if (penalty === null) return rates
  const lambda = penalty.coefficient * dynamics.sparsity
  switch (penalty.kind) {
    case 'l0':
      return { ...rates, step: lambda / rows }
    case 'target_l0':
      return { ...rates, step: (2 * lambda * (l0 / penalty.target - 1)) / (penalty.target * rows) }
    case 'l1':
    case 'lp':
    case 'tanh':
      return { ...rates, penalty: lambda / rows }
  }
}

/**
 * Turns `grad` from ⟨e, d⟩ into dL/dπ of every hit (for gated: through both paths, with `grad2` from the auxiliary
 * reconstruction), and sums the gradients of the other parameters.
 * @param options.lambdaScale p-annealing's rescaling of λ
 * @param options.preAct λ_P·n/B by latent, 0 if the pre-act loss is off
 */
export function backward(options: {
  plan: Plan
  hits: Hits
  values: LatentValues
  sums: LatentSums
  rates: StepRates
  p: number
  preAct?: Float32Array
}): void {
  const { plan, hits, values, sums, rates, p: power, preAct } = options
  const { index, pre, value, grad, grad2, count } = hits
  const { selection, penalty } = plan
  const { scale, penalty: lambda, step } = rates
  const { norms } = values
  switch (selection.kind) {
    case 'relu':
    case 'topk':
    case 'batchtopk':
      if (penalty === null || lambda === 0) {
        for (let h = 0; h < count; h++) grad[h] = value[h] <= 0 ? 0 : scale * grad[h]
        return
      }
      for (let h = 0; h < count; h++) {
        const f = value[h]
        if (f <= 0) {
          grad[h] = 0
          continue
        }
        const i = index[h]
        const n = norms[i]
        if (penalty.kind === 'lp') {
          const raised = f ** power
          grad[h] = scale * grad[h] + (lambda * power * raised * n) / f
          sums.penalty[i] += raised
          sums.norm[i] += lambda * raised
        } else if (penalty.kind === 'tanh') {
          const t = Math.tanh(penalty.scale * f * n)
          const slope = lambda * penalty.scale * (1 - t * t)
          grad[h] = scale * grad[h] + slope * n
          sums.penalty[i] += t
          sums.norm[i] += slope * f
        } else {
          grad[h] = scale * grad[h] + lambda * n
          sums.penalty[i] += f
          sums.norm[i] += lambda * f
        }
      }
      return
    case 'jumprelu': {
      const { bandwidth, steToInput } = selection
      const interval = penalty?.kind === 'tanh' ? penalty.scale : 0
      for (let h = 0; h < count; h++) {
        const i = index[h]
        const theta = values.threshold[i]
        const pi = pre[h]
        const f = value[h]
        const on = pi > theta
        let up = scale * grad[h]
        if (interval > 0) {
          const n = norms[i]
          const t = Math.tanh(interval * f * n)
          const slope = lambda * interval * (1 - t * t)
          up += slope * n
          if (on) sums.penalty[i] += t
          sums.norm[i] += slope * f
        } else if (penalty?.kind === 'l1' && on) {
          up += lambda * norms[i]
          sums.penalty[i] += f
          sums.norm[i] += lambda * f
        }
        let g = on ? up : 0
        if (Math.abs(pi - theta) < bandwidth / 2) {
          const kernel = (theta * up + step) / bandwidth
          sums.threshold[i] -= kernel
          if (steToInput) g += kernel
        }
        if (pi >= theta) {
          sums.open[i]++
          sums.openPre[i] += pi
          // The pre-act loss pushes all rows alike (see step/step_backward.ts); rows where the latent is open undo it here.
          if (preAct !== undefined) g += preAct[i]
        }
        grad[h] = g
      }
      return
    }
    case 'gated':
      for (let h = 0; h < count; h++) {
        const i = index[h]
        const up = value[h] > 0 ? scale * grad[h] : 0
        const gate = scale * grad2[h] + lambda * norms[i]
        const magnified = up * values.magnitude[i]
        grad[h] = magnified + gate
        sums.gate[i] += gate
        sums.magnitude[i] += up
        sums.scale[i] += magnified * (pre[h] - values.bEnc[i])
        sums.penalty[i] += pre[h]
        sums.norm[i] += lambda * pre[h]
      }
  }
}

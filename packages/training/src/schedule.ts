// Learning-rate schedules: linear warm-up, then constant, constant with a linear decay to 0 (dictionary_learning's
// get_lr_schedule), or a cosine to 0.

export type Schedule = {
  shape: 'constant' | 'linear' | 'cosine'
  learningRate: number
  warmUpSteps: number
  /** `linear`: the final share of the run over which the rate falls to 0; 0.2 is the last fifth. */
  decayFraction: number
  totalSteps: number
}

/** The rate of `step` (0-based). Warm-up counts from (step + 1) / warmUpSteps, so the first step is not 0. */
export function learningRateAt(schedule: Schedule, step: number): number {
  const { shape, learningRate, warmUpSteps, decayFraction, totalSteps } = schedule
  const warm = warmUpSteps > 0 ? Math.min(1, (step + 1) / warmUpSteps) : 1
  switch (shape) {
    case 'constant':
      return learningRate * warm
    case 'linear': {
      const decaySteps = Math.round(totalSteps * decayFraction)
      const left = totalSteps - step
      const decay = decaySteps > 0 ? Math.min(1, left / decaySteps) : 1
      return learningRate * warm * decay
    }
    case 'cosine': {
      if (step < warmUpSteps) return learningRate * warm
      const share = (step - warmUpSteps) / Math.max(1, totalSteps - warmUpSteps)
      return learningRate * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, share)))
    }
  }
}

/**
 * dictionary_learning's rate for TopK, 2e-4 / sqrt(d_sae / 2^14) (Gao et al. 2024, figure 3), whose runs have
 * at least 100,000 steps.
 */
export const topkLearningRate = (dSae: number): number => 2e-4 / Math.sqrt(dSae / 2 ** 14)

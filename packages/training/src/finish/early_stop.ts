// Early stop: an SAE ends before its run when its FVU, measured over successive windows of tokens, stops falling
// or has reached a target. Sums and decisions depend only on the steps and are part of a checkpoint, so a
// resumed run ends where an uninterrupted one does.

export type EarlyStop = {
  /** Sums over the current window. */
  tokens: number
  squaredError: number
  /** Least FVU of a whole window so far; null before the first. */
  best: number | null
}

export const emptyEarlyStop = (): EarlyStop => ({ tokens: 0, squaredError: 0, best: null })

/** Why an SAE ends; undefined while it goes on. */
export type EarlyEnd = { kind: 'target' | 'plateau'; fvu: number }

/**
 * Adds one step and decides at the end of each window.
 * @param options.variance mean over all tokens so far of ‖y − ȳ‖²
 */
export function judgeEarlyStop(options: {
  state: EarlyStop
  rows: number
  squaredError: number
  variance: number
  settings: { earlyStopWindowTokens: number; earlyStopMinGain: number; earlyStopFvu: number | null }
}): EarlyEnd | undefined {
  const { state, rows, squaredError, variance, settings } = options
  const { earlyStopWindowTokens: window, earlyStopMinGain, earlyStopFvu: target } = settings
  if (window === 0) return undefined
  state.tokens += rows
  state.squaredError += squaredError
  if (state.tokens < window || !(variance > 0)) return undefined
  const fvu = state.squaredError / state.tokens / variance
  state.tokens = 0
  state.squaredError = 0
  const { best } = state
  state.best = best === null ? fvu : Math.min(best, fvu)
  if (target !== null && fvu <= target) return { kind: 'target', fvu }
  if (best !== null && fvu > best * (1 - earlyStopMinGain)) return { kind: 'plateau', fvu }
  return undefined
}

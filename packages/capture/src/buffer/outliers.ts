// The outlier rule: a token whose activation has a norm above a multiple of the median norm is dropped (as
// dictionary_learning's max_activation_norm_multiple; attention sinks have norms a hundred times the rest). The median is
// that of the run's first buffer, so what is dropped depends only on the seed and the position, and a resume
// drops the same tokens. A run has one mask: a token that is an outlier at any hook point is dropped for all its SAEs,
// so that they train on the same tokens; it is counted at every hook point where it is an outlier.
import { InputError } from '@mistudio/files'

/** Norms of one hook point's tokens, [tokens]. */
export type HookNorms = { hook: string; norms: Float64Array }

/** The largest norm kept: `multiple` times the (lower) median over usable tokens; infinite if `multiple` is 0. */
export function normLimit(options: { norms: Float64Array; mask: Uint8Array; multiple: number }): number {
  const { norms, mask, multiple } = options
  if (multiple === 0) return Number.POSITIVE_INFINITY
  const usable = norms.filter((_, i) => mask[i] === 1).sort()
  return usable.length === 0 ? Number.POSITIVE_INFINITY : multiple * usable[(usable.length - 1) >> 1]
}

/**
 * Removes from `mask` the tokens beyond a hook point's limit.
 * @returns for each hook point, how many of its usable tokens were beyond its own limit
 */
export function dropOutliers(options: {
  hooks: readonly HookNorms[]
  limits: ReadonlyMap<string, number>
  mask: Uint8Array
}): Map<string, number> {
  const { hooks, limits, mask } = options
  const usable = mask.slice()
  const dropped = new Map<string, number>()
  for (const { hook, norms } of hooks) {
    const limit = limits.get(hook)!
    let count = 0
    for (let i = 0; i < usable.length; i++) {
      if (usable[i] !== 1 || norms[i] <= limit) continue
      mask[i] = 0
      count++
    }
    dropped.set(hook, count)
  }
  return dropped
}

/**
 * Rejects NaN and infinity at a usable token: a norm is finite if its row is.
 * @param options.describe describes the row in the message
 * @throws InputError naming hook point and row
 */
export function checkFinite(options: {
  hooks: readonly HookNorms[]
  mask: Uint8Array
  describe(row: number): { message: string; file?: string; found: string; expected: string }
}): void {
  const { hooks, mask, describe } = options
  for (const { hook, norms } of hooks) {
    for (let i = 0; i < mask.length; i++) {
      if (mask[i] === 1 && !Number.isFinite(norms[i])) throw new InputError({ field: hook, ...describe(i) })
    }
  }
}

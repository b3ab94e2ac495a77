// A display order for features. It is a heuristic on the surface of the examples that puts features that
// are easy to name first; it does not measure whether a feature is interpretable or causal.

/** Input of the score: a feature's top examples. */
export type ReadabilityInput = {
  /** Peak token of each top example, as text. */
  peakTokens: readonly string[]
  /** Document of each top example; any text that identifies it. */
  documents: readonly string[]
  /** Most top examples of a feature. */
  capacity: number
  /** Firing tokens over all tokens; null when none were seen. */
  density: number | null
}

/** Densities of features that people can usually name: rarer ones have too little evidence, commoner ones are too general. */
export const readableDensity = { low: 1e-4, high: 1e-2 }

export const readabilityDefinition =
  'fullness × density gate × agreement × spread × legibility, each 0 to 1. fullness: top examples / examples per feature. ' +
  'density gate: 1 from 1e-4 to 1e-2, falling to 0 over one decade on either side. agreement: share of top ' +
  'examples whose peak token, without case and outer spaces, is one of the two commonest. spread: distinct ' +
  'documents / top examples. legibility: half, plus half the share of top examples whose peak token has a letter ' +
  'or digit. An order for display, not a measurement of interpretability.'

/** @returns 0 to 1 as `readabilityDefinition` says; 0 without examples */
export function readability({ peakTokens, documents, capacity, density }: ReadabilityInput): number {
  const count = peakTokens.length
  if (count === 0 || density === null) return 0
  const times = new Map<string, number>()
  for (const token of peakTokens) {
    const normal = token.trim().toLowerCase()
    times.set(normal, (times.get(normal) ?? 0) + 1)
  }
  const [first = 0, second = 0] = [...times.values()].sort((a, b) => b - a)
  const agreement = (first + second) / count
  const spread = new Set(documents).size / count
  const legible = peakTokens.filter(token => /[\p{L}\p{N}]/u.test(token)).length
  const legibility = 0.5 + (0.5 * legible) / count
  return (count / capacity) * densityGate(density) * agreement * spread * legibility
}

function densityGate(density: number): number {
  const { low, high } = readableDensity
  if (density >= low && density <= high) return 1
  const decades = density < low ? Math.log10(low / density) : Math.log10(density / high)
  return Math.max(0, 1 - decades)
}

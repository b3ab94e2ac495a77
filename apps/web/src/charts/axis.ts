// Where values lie on an axis that is logarithmic if they span more than a factor of four, and linear otherwise.

export type Axis = {
  /** Position, 0 to 1. */
  at: (value: number) => number
  ticks: number[]
  log: boolean
}

const tickCount = 5
/** Share of the span that is left free at either end. */
const margin = 0.08

/** @param values at least one */
export function axisOf(values: readonly number[]): Axis {
  const low = Math.min(...values)
  const high = Math.max(...values)
  const log = low > 0 && high / low > 4
  const scale = log ? Math.log : (value: number) => value
  const back = log ? Math.exp : (value: number) => value
  // Values that are all the same still need some room around them.
  const room = (scale(high) - scale(low)) * margin || Math.abs(scale(low)) * 0.1 || 0.5
  const [from, to] = [scale(low) - room, scale(high) + room]
  const ticks = Array.from({ length: tickCount }, (_, i) =>
    back(from + ((to - from) * (i + 0.5)) / tickCount),
  )
  return { at: value => (scale(value) - from) / (to - from), ticks, log }
}

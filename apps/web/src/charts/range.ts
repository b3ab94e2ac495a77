// Bounds of a value axis: from 0 unless that would flatten the curve. A flat curve still gets some room around it.

/** @param min null, like `max`, where there are no values */
export function rangeOf(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max)) return [0, 1]
  if (min === max) return min === 0 ? [0, 1] : [Math.min(0, min * 1.2), Math.max(0, max * 1.2)]
  const room = (max - min) * 0.06
  const low = min >= 0 && min < (max - min) * 2 ? 0 : min - room
  return [low, max + room]
}

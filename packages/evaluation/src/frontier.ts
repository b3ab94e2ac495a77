// The frontier of runs: what sparsity costs. A run is on it when no other run is at least as sparse and at least as good,
// and better in at least one of them.

export type FrontierRun = {
  name: string
  /** A series of the chart. */
  family: string
  l0: number | null
  fvu: number | null
  delta_ce: number | null
}
export type FrontierMetric = 'fvu' | 'delta_ce'

/** Runs on the frontier of L0 against `metric`; runs lacking either figure are left out. */
export function onFrontier(runs: readonly FrontierRun[], metric: FrontierMetric): boolean[] {
  const points = runs.map(run => {
    const { l0, [metric]: y } = run
    return l0 === null || y === null || Number.isNaN(l0) || Number.isNaN(y) ? undefined : { l0, y }
  })
  return points.map(
    point =>
      point !== undefined &&
      !points.some(
        other =>
          other !== undefined &&
          other.l0 <= point.l0 &&
          other.y <= point.y &&
          (other.l0 < point.l0 || other.y < point.y),
      ),
  )
}

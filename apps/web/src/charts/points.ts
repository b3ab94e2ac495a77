// What the live charts show, computed from the recorded events alone: each point is one event.
import type { StudioEvent, TrainingMember } from '@mistudio/contract'

export type Point = {
  /** Sequence number of the event. */
  seq: number
  at: string
  /** Since the first point. */
  seconds: number
  /** null: undefined at this point, like a rate at the first one. */
  value: number | null
}

export type ExtractionPoints = { collected: Point[]; rate: Point[]; speed: Point[] }

/**
 * collected: heap_examples_count. rate: its increase since the previous event, divided by the time between the two;
 * null at the first point, after a restart (which resets the count) and where no time has passed. speed:
 * samples_per_second.
 */
export function extractionPoints(events: readonly StudioEvent[]): ExtractionPoints {
  const points: ExtractionPoints = { collected: [], rate: [], speed: [] }
  let first: number | undefined
  let before: { time: number; count: number } | undefined
  for (const event of events) {
    const { seq, at } = event
    if (!isMeasured(event)) continue
    const { heap_examples_count: count, samples_per_second: speed } = event.data
    if (count === undefined || speed === undefined) continue
    const time = Date.parse(at)
    first ??= time
    const place = { seq, at, seconds: (time - first) / 1000 }
    points.collected.push({ ...place, value: count })
    points.speed.push({ ...place, value: speed })
    const passed = before === undefined ? 0 : (time - before.time) / 1000
    const grown = before === undefined ? 0 : count - before.count
    points.rate.push({ ...place, value: passed > 0 && grown >= 0 ? grown / passed : null })
    before = { time, count }
  }
  return points
}

const isMeasured = (event: StudioEvent) =>
  event.event === 'extraction:progress' ||
  event.event === 'extraction:completed' ||
  event.event === 'extraction:failed'

/** Curves of a training's SAEs; item i of every list belongs to step i. */
export type TrainingCurves = {
  steps: number[]
  seqs: number[]
  /** By the SAE's name, in the order of the first event; undefined where an event did not report it. */
  members: Map<string, (TrainingMember | undefined)[]>
}

/** One metric of an SAE over the steps. */
export const curveOf = (
  members: readonly (TrainingMember | undefined)[],
  metric: string,
): (number | null)[] => members.map(member => member?.metrics[metric] ?? null)

/** A training resumed from a checkpoint repeats some steps; the later report of a step counts. */
export function trainingCurves(events: readonly StudioEvent[]): TrainingCurves {
  const kept: Extract<StudioEvent, { event: 'training:progress' | 'training:completed' }>[] = []
  for (const event of events) {
    if (event.event !== 'training:progress' && event.event !== 'training:completed') continue
    // The final event may only say that the training is over: its figures repeat the previous event's.
    const { step } = event.data
    if (event.event === 'training:completed' && kept.at(-1)?.data.step === step) continue
    while (kept.length > 0 && kept[kept.length - 1].data.step >= step) kept.pop()
    kept.push(event)
  }
  const members: TrainingCurves['members'] = new Map()
  for (const { name } of kept.flatMap(({ data }) => data.saes)) members.set(name, [])
  for (const { data } of kept) {
    for (const [name, curve] of members) curve.push(data.saes.find(member => member.name === name))
  }
  return { steps: kept.map(({ data }) => data.step), seqs: kept.map(({ seq }) => seq), members }
}

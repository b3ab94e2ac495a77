import type { StudioEvent } from '@mistudio/contract'
import { expect, test } from 'vitest'
import { curveOf, extractionPoints, trainingCurves } from './points.ts'

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()
const measured = (seq: number, seconds: number, count: number, speed = 10, event = 'extraction:progress') =>
  ({
    seq,
    channel: 'extraction/extr_00000000000000000001',
    event,
    at: at(seconds),
    data: { heap_examples_count: count, samples_per_second: speed },
  }) as unknown as StudioEvent
const other = (seq: number, event: string, data = {}) =>
  ({ seq, channel: '', event, at: at(0), data }) as unknown as StudioEvent

test('a point for each measured event, the rate as difference quotient over their times', () => {
  const { collected, rate, speed } = extractionPoints([
    other(1, 'extraction:status'),
    measured(2, 10, 0, 0),
    measured(3, 12, 500, 40),
    other(4, 'extraction:nlp_progress'),
    measured(5, 12.5, 600, 50, 'extraction:completed'),
  ])
  expect(collected.map(({ seq, seconds, value }) => [seq, seconds, value])).toEqual([
    [2, 0, 0],
    [3, 2, 500],
    [5, 2.5, 600],
  ])
  expect(rate.map(({ value }) => value)).toEqual([null, 250, 200])
  expect(speed.map(({ value }) => value)).toEqual([0, 40, 50])
  expect(collected[1].at).toBe(at(12))
})

test('there is no rate where the count was reset or no time has passed', () => {
  const { rate, collected } = extractionPoints([
    measured(1, 0, 900),
    measured(2, 5, 100),
    measured(3, 5, 150),
    measured(4, 7, 150),
  ])
  expect(rate.map(({ value }) => value)).toEqual([null, null, null, 0])
  expect(collected.map(({ value }) => value)).toEqual([900, 100, 150, 150])
})

test('a failure is a point only if it has figures', () => {
  expect(extractionPoints([other(1, 'extraction:failed')]).collected).toEqual([])
  expect(extractionPoints([measured(1, 0, 7, 1, 'extraction:failed')]).collected.length).toBe(1)
})

const step = (seq: number, number: number, loss: number | null, event = 'training:progress') => {
  const saes = ['blocks.2.hook_resid_post', 'blocks.2.hook_mlp_out'].map((name, i) => ({
    name,
    metrics: { loss: loss === null ? null : loss + i, fvu: loss === null ? null : loss / 10 },
  }))
  return other(seq, event, { step: number, saes })
}

test('curves of every SAE over steps', () => {
  const { steps, members } = trainingCurves([
    other(1, 'training:status'),
    step(2, 10, 4),
    step(3, 20, null),
    step(4, 30, 2),
  ])
  expect(steps).toEqual([10, 20, 30])
  expect([...members.keys()]).toEqual(['blocks.2.hook_resid_post', 'blocks.2.hook_mlp_out'])
  const rows = members.get('blocks.2.hook_mlp_out')!
  expect(curveOf(rows, 'loss')).toEqual([5, null, 3])
  expect(curveOf(rows, 'fvu')).toEqual([0.4, null, 0.2])
  expect(curveOf(rows, 'cosine')).toEqual([null, null, null])
})

test('steps repeated after a checkpoint replace the earlier ones', () => {
  const { steps, seqs, members } = trainingCurves([
    step(1, 10, 4),
    step(2, 20, 3),
    step(3, 30, 2),
    step(4, 20, 3.5),
    step(5, 25, 3.25),
  ])
  expect(steps).toEqual([10, 20, 25])
  expect(seqs).toEqual([1, 4, 5])
  expect(curveOf(members.get('blocks.2.hook_resid_post')!, 'loss')).toEqual([4, 3.5, 3.25])
})

test('a step that is measured again right after a checkpoint is shown as measured last', () => {
  const { steps, seqs } = trainingCurves([step(1, 10, 4), step(2, 20, 3), step(3, 20, 3.5)])
  expect([steps, seqs]).toEqual([
    [10, 20],
    [1, 3],
  ])
})

test('the end of a training does not repeat the point of its last step', () => {
  const { seqs } = trainingCurves([step(1, 10, 4), step(2, 10, 4, 'training:completed')])
  expect(seqs).toEqual([1])
})

test('nothing yet', () => {
  expect(trainingCurves([])).toEqual({ steps: [], seqs: [], members: new Map() })
  expect(extractionPoints([])).toEqual({ collected: [], rate: [], speed: [] })
})

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createProgressEmitter, type ExtractionEvent, type ProgressClock } from './progress.ts'
import { createProgressBoard } from './progress_board.ts'

/** A clock advanced by tests; timers fire in order as time passes them. */
function fakeClock() {
  let time = 100
  let timers: { at: number; call: () => void }[] = []
  const clock: ProgressClock = {
    now: () => time,
    after(seconds, call) {
      const timer = { at: time + seconds, call }
      timers.push(timer)
      return () => {
        timers = timers.filter(other => other !== timer)
      }
    },
  }
  return {
    clock,
    timers: () => timers.length,
    advance(seconds: number) {
      const end = time + seconds
      for (;;) {
        const next = timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        time = Math.max(time, next.at)
        timers = timers.filter(timer => timer !== next)
        next.call()
      }
      time = end
    },
  }
}

function setup(total = 100) {
  const fake = fakeClock()
  const board = createProgressBoard()
  const events: (ExtractionEvent & { time: number })[] = []
  const emitter = createProgressEmitter({
    extractionId: 'ext_1',
    board,
    clock: fake.clock,
    watch: false,
    emit: event => events.push({ ...event, time: fake.clock.now() }),
  })
  board.write({ total_samples: total, total_batches: total })
  const batch = (samples: number) => {
    const { samples_processed, current_batch } = board.read()
    board.write({
      phase: 'extracting',
      samples_processed: samples_processed + samples,
      current_batch: current_batch + 1,
    })
    emitter.batchDone()
  }
  return { ...fake, board, emitter, events, batch }
}

test('every event has the wire names, types and status of the increment', () => {
  const { board, emitter, events, advance } = setup()
  emitter.start()
  board.write({
    phase: 'extracting',
    samples_processed: 50,
    current_batch: 3,
    features_in_heap: 7,
    heap_examples_count: 9,
  })
  advance(1)
  emitter.batchDone()
  emitter.completed()
  expect(events.map(event => event.event)).toEqual([
    'extraction:progress',
    'extraction:progress',
    'extraction:completed',
  ])
  expect(events[1].channel).toBe('extraction/ext_1')
  expect(events[1].data).toEqual({
    extraction_id: 'ext_1',
    status: 'extracting',
    phase: 'extracting',
    progress: 0.5,
    current_batch: 3,
    total_batches: 100,
    samples_processed: 50,
    total_samples: 100,
    samples_per_second: 50,
    mean_samples_per_second: 50,
    eta_seconds: 1,
    features_in_heap: 7,
    heap_examples_count: 9,
  })
  expect(events[0].data).toMatchObject({
    status: 'extracting',
    phase: 'loading',
    eta_seconds: null,
    progress: 0,
  })
  expect(events[2].data).toMatchObject({ status: 'completed', progress: 1, eta_seconds: 0 })
})

test('without batches the timer emits every 2 seconds, loading and writing included', () => {
  const { board, emitter, events, advance } = setup()
  emitter.start()
  advance(7)
  board.write({ phase: 'writing', samples_processed: 100 })
  emitter.batchDone()
  advance(5)
  emitter.completed()
  advance(60)
  expect(events.map(event => event.time - 100)).toEqual([0, 2, 4, 6, 7, 9, 11, 12])
  expect(events.map(event => event.data.phase)).toEqual([
    ...new Array(4).fill('loading'),
    ...new Array(4).fill('writing'),
  ])
})

test('a boundary of 5 % emits at once, several in one batch give one event, less gives none', () => {
  const { emitter, events, batch, advance } = setup()
  emitter.start()
  advance(0.1)
  batch(4)
  expect(events.length).toBe(1)
  batch(1)
  expect(events.length).toBe(2)
  batch(32)
  expect(events.length).toBe(3)
  batch(2)
  expect(events.length).toBe(3)
  batch(1)
  expect(events.map(event => event.data.progress)).toEqual([0, 0.05, 0.37, 0.4])
})

test('the rule holds for every event, gaps stay under 2.1 s, and no boundary is missed', () => {
  const step = fc.record({
    wait: fc.double({ min: 0.001, max: 7, noNaN: true }),
    samples: fc.integer({ min: 0, max: 30 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), steps => {
      const { emitter, events, batch, advance, board, clock, timers } = setup(300)
      emitter.start()
      for (const { wait, samples } of steps) {
        advance(wait)
        batch(samples)
        const said = Math.floor(20 * events[events.length - 1].data.progress)
        expect(said).toBe(Math.floor(20 * Math.min(1, board.read().samples_processed / 300)))
        expect(clock.now() - events[events.length - 1].time).toBeLessThan(2.1)
      }
      const before = events.length
      emitter.completed()
      expect(events.length).toBe(before + 1)
      expect(timers()).toBe(0)
      for (let i = 1; i < before; i++) {
        const gap = events[i].time - events[i - 1].time
        expect(gap).toBeLessThan(2.1)
        const crossed =
          Math.floor(20 * events[i].data.progress) > Math.floor(20 * events[i - 1].data.progress)
        // The times are sums of floats: two seconds to a nanosecond.
        expect(gap > 2 - 1e-9 || crossed).toBe(true)
      }
    }),
  )
})

test('a timer that fires early is set again and says nothing', () => {
  const fake = fakeClock()
  const early: ProgressClock = { ...fake.clock, after: (s, call) => fake.clock.after(s * 0.9, call) }
  const events: number[] = []
  const emitter = createProgressEmitter({
    extractionId: 'x',
    board: createProgressBoard(),
    clock: early,
    watch: false,
    emit: () => events.push(fake.clock.now() - 100),
  })
  emitter.start()
  // Nine tenths of the rest each time: after a few less than a microsecond is left, and rounding ends it.
  fake.advance(1.9)
  expect(events).toEqual([0])
  emitter.stop()
  fake.advance(10)
  expect(events).toEqual([0])
})

test('rate and ETA: null until a sample, a moving window, the mean over the run', () => {
  const { emitter, events, batch, advance } = setup(1000)
  const last = () => events[events.length - 1].data
  emitter.start()
  advance(10)
  expect(last()).toMatchObject({ samples_per_second: 0, mean_samples_per_second: 0, eta_seconds: null })
  for (let i = 0; i < 10; i++) {
    advance(1)
    batch(10)
  }
  advance(0.001)
  batch(50)
  expect(last().samples_processed).toBe(150)
  // 150 samples in 20.001 s, loading included; the window: 40 to 50 samples in the last 4 to 5 s, and the 50.
  expect(last().mean_samples_per_second).toBeCloseTo(150 / 20.001, 6)
  expect(last().samples_per_second).toBeCloseTo(100 / 5.001, 6)
  expect(last().eta_seconds).toBe(Math.ceil(850 / (100 / 5.001)))
})

test('batches slower than the window still give a rate and an ETA', () => {
  const { emitter, events, batch, advance } = setup(100)
  emitter.start()
  for (let i = 0; i < 3; i++) {
    advance(20)
    batch(1)
    advance(2.001)
    const { samples_per_second, eta_seconds } = events[events.length - 1].data
    expect(samples_per_second).toBeGreaterThan(0)
    expect(Number.isInteger(eta_seconds)).toBe(true)
  }
})

test('failed says why, once, and ends the events', () => {
  const { emitter, events, advance } = setup()
  emitter.start()
  emitter.failed({ message: 'the disk is full' })
  emitter.completed()
  advance(10)
  expect(events.length).toBe(2)
  expect(events[1]).toMatchObject({
    event: 'extraction:failed',
    data: { status: 'failed', error_message: 'the disk is full' },
  })
})

test('a worker that blocks 5 seconds does not stop the events of this thread', async () => {
  const board = createProgressBoard()
  const times: number[] = []
  const events: ExtractionEvent[] = []
  const emitter = createProgressEmitter({
    extractionId: 'slow',
    board,
    emit: event => {
      times.push(performance.now() / 1000)
      events.push(event)
    },
  })
  emitter.start()
  const worker = new Worker(new URL('../../testing/blocking_worker.ts', import.meta.url), {
    workerData: board.buffer,
  })
  await once(worker, 'exit')
  // The write before the end was seen through Atomics, without a message: wait for this thread's turn.
  await new Promise(resolve => setTimeout(resolve, 20))
  emitter.completed()
  const progress = events.map(event => event.data.progress)
  // At the start, at 50 %, at least two by the timer inside the 5 s, at 100 %, completed.
  expect(progress.filter(value => value === 0.5).length).toBeGreaterThanOrEqual(3)
  expect(progress[0]).toBe(0)
  expect(progress.slice(-2)).toEqual([1, 1])
  expect(events[events.length - 1].data).toMatchObject({ features_in_heap: 12, heap_examples_count: 50 })
  // Events are 2 s plus this machine's delay apart; 4 s would mean a missing event.
  for (let i = 1; i < times.length; i++) expect(times[i] - times[i - 1]).toBeLessThan(4)
})

test('a reader never sees half a write', async () => {
  const board = createProgressBoard()
  const worker = new Worker(new URL('../../testing/racing_worker.ts', import.meta.url), {
    workerData: { buffer: board.buffer, writes: 200_000 },
  })
  let running = true
  worker.once('exit', () => {
    running = false
  })
  let reads = 0
  while (running) {
    for (let i = 0; i < 2000; i++) {
      const { current_batch, samples_processed, heap_examples_count } = board.read()
      if (samples_processed !== current_batch || heap_examples_count !== current_batch) {
        throw new Error(`half a write: ${current_batch} ${samples_processed} ${heap_examples_count}`)
      }
      reads++
    }
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(reads).toBeGreaterThan(0)
  expect(board.read().current_batch).toBe(200_000)
})

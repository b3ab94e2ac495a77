// The monitor of an extraction: what it tells, from when on, and how it ends. Its timing: packages/feature, progress.
import { createProgressBoard } from '@mistudio/feature'
import { expect, it, vi } from 'vitest'
import type { JobEvent } from '../../frame/command.ts'
import { monitorExtraction } from './extraction_monitor.ts'

async function watch(begin: 'now' | 'with the extraction') {
  const events: (JobEvent & { kind: 'progress' })[] = []
  const monitor = await monitorExtraction({
    id: 'x',
    begin,
    onEvent: event => event.kind === 'progress' && events.push(event),
  })
  // As the job's thread joins it.
  const board = createProgressBoard({ buffer: monitor.board })
  const names = () => events.map(({ wire }) => wire?.event)
  return { monitor, board, events, names }
}

it('begins at once, shows each phase, and ends with completed', async () => {
  const { monitor, board, events, names } = await watch('now')
  expect(events[0]).toMatchObject({
    progress: { stage: 'loading the extraction', done: 0 },
    wire: { channel: 'extraction/x', event: 'extraction:progress', data: { phase: 'loading' } },
  })
  board.write({ phase: 'extracting', total_samples: 40, samples_processed: 10, heap_examples_count: 7 })
  await vi.waitFor(() => expect(events).toHaveLength(2))
  expect(events[1].progress).toMatchObject({
    stage: 'extracting features',
    done: 10,
    total: 40,
    unit: 'contexts',
    figures: { examples: '7' },
  })
  board.write({ phase: 'writing', samples_processed: 40, features_written: 64, features_to_write: 512 })
  await vi.waitFor(() => expect(events).toHaveLength(3))
  expect(events[2].progress).toMatchObject({
    stage: 'writing features',
    done: 64,
    total: 512,
    unit: 'features',
  })
  monitor.end({})
  monitor.end({})
  expect(names().slice(2)).toEqual(['extraction:progress', 'extraction:completed'])
})

it('says nothing of an extraction before its first word', async () => {
  const { monitor, board, events, names } = await watch('with the extraction')
  await new Promise(resolve => setImmediate(resolve))
  expect(events).toEqual([])
  board.write({ phase: 'loading' })
  await vi.waitFor(() => expect(events).toHaveLength(1))
  monitor.end({ failed: 'no room' })
  expect(names()).toEqual(['extraction:progress', 'extraction:failed'])
  expect(events[1].wire).toMatchObject({ data: { status: 'failed', error_message: 'no room' } })
})

it.each([{}, { failed: 'before it' }, { stopped: true }])(
  'a job that ends before its extraction begins tells nothing of one: %j',
  async outcome => {
    const { monitor, board, events } = await watch('with the extraction')
    monitor.end(outcome)
    board.write({ phase: 'extracting' })
    await new Promise(resolve => setImmediate(resolve))
    expect(events).toEqual([])
  },
)

it('a stopped extraction ends without an event of its own', async () => {
  const { monitor, names } = await watch('now')
  monitor.end({ stopped: true })
  expect(names()).toEqual(['extraction:progress'])
})

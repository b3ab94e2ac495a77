// Every move of every machine: what is written with it, what is said of it, and what is refused.
import {
  canMove,
  extractionMachine,
  jobMachine,
  type Machine,
  nlpMachine,
  tokenizationMachine,
  trainingMachine,
} from '@mistudio/contract'
import { describe, expect, test } from 'vitest'
import type { Transaction } from '../db/connect.ts'
import { moveExtraction } from './extractions/move.ts'
import type { JobRow } from './jobs/job.ts'
import { lockJob, moveJob } from './jobs/move.ts'
import { moveTokenization } from './tokenizations/move.ts'
import { moveTraining } from './trainings/move.ts'

/** A transaction over one row. */
function over(row: object | undefined) {
  const written: Record<string, unknown>[] = []
  const rows = { for: async () => (row === undefined ? [] : [row]) }
  const tx = {
    select: () => ({ from: () => ({ where: () => rows }) }),
    update: () => ({
      set: (values: Record<string, unknown>) => ({ where: async () => void written.push(values) }),
    }),
  }
  return { tx: tx as unknown as Transaction, written }
}

const pairs = <S extends string>(machine: Machine<S>): [S, S][] => {
  const states = Object.keys(machine.moves) as S[]
  return states.flatMap(from => states.map((to): [S, S] => [from, to]))
}
const time = expect.any(Date)
const illegal = { problem: { status: 409 } }

describe.each(pairs(jobMachine))('a job that is %s', (from, to) => {
  test(`becomes ${to} where it may`, async () => {
    const { tx, written } = over(undefined)
    const job = {
      ...{ id: 'job_1', kind: 'train', entity: 'training/train_1', status: from, progress: 0.25 },
      ...{ host: 'here', lease_until: new Date(), runner_pid: 3, runner_started: 'x', request: 'stop' },
    } as unknown as JobRow
    const move = moveJob(tx, job, to)
    if (!canMove(jobMachine, from, to)) {
      await expect(move).rejects.toMatchObject({ problem: { status: 409, found: from } })
      expect(written).toEqual([])
      return
    }
    const [event] = await move
    expect(event).toMatchObject({ event: 'job:status', data: { status: to } })
    const nobody = { host: null, lease_until: null, runner_pid: null, runner_started: null }
    expect(written).toEqual([
      {
        status: to,
        ...(to !== 'running' && nobody),
        ...(['completed', 'failed', 'cancelled'].includes(to) && { ended_at: time, request: null }),
        ...(to === 'completed' && { progress: 1 }),
      },
    ])
    expect(job).toMatchObject(written[0])
  })
})

describe.each(pairs(trainingMachine))('a training that is %s', (from, to) => {
  test(`becomes ${to} where it may, or stays`, async () => {
    const { tx, written } = over({ id: 'train_1', status: from, error_message: 'before' })
    const move = moveTraining(tx, 'train_1', to)
    if (from !== to && !canMove(trainingMachine, from, to)) {
      await expect(move).rejects.toMatchObject(illegal)
      return expect(written).toEqual([])
    }
    const failed = to === 'failed'
    expect(await move).toEqual([
      {
        channel: 'training/train_1',
        event: failed ? 'training:failed' : 'training:status',
        data: { training_id: 'train_1', status: to, error_message: 'before' },
      },
    ])
    const still = to === 'running' || to === 'initializing'
    expect(written).toEqual([
      {
        status: to,
        ...(['completed', 'failed', 'cancelled'].includes(to) && { completed_at: time }),
        ...(!still && { tokens_per_second: null, eta_seconds: null, memory_bytes: null }),
      },
    ])
  })
})

describe.each(pairs(extractionMachine))('an extraction that is %s', (from, to) => {
  test(`becomes ${to} where it may, or stays`, async () => {
    const row = {
      ...{ id: 'extr_1', status: from, nlp_status: 'pending', progress: 0.5, eta_seconds: 9 },
      ...{ error_message: null, nlp_error_message: 'of the analysis' },
    }
    const { tx, written } = over(row)
    const move = moveExtraction(tx, 'extr_1', { status: to })
    if (from !== to && !canMove(extractionMachine, from, to)) {
      await expect(move).rejects.toMatchObject(illegal)
      return expect(written).toEqual([])
    }
    const { row: moved, events } = await move
    const ended = ['completed', 'failed', 'cancelled'].includes(to)
    expect(written).toEqual([{ status: to, ...(ended && { completed_at: time, eta_seconds: null }) }])
    expect(moved).toMatchObject({ ...row, ...written[0] })
    const data = { extraction_id: 'extr_1', status: to, nlp_status: 'pending' }
    expect(events).toMatchObject([
      to === 'failed'
        ? { event: 'extraction:failed', data: { ...data, progress: 0.5, error_message: 'unknown' } }
        : { event: 'extraction:status', data: { ...data, error_message: 'of the analysis' } },
    ])
  })
})

test.each(pairs(nlpMachine))('an analysis that is %s becomes %s where it may, or stays', async (from, to) => {
  const { tx, written } = over({ id: 'extr_1', status: 'completed', nlp_status: from, error_message: null })
  const move = moveExtraction(tx, 'extr_1', { nlp_status: to }, { nlp_error_message: 'no words' })
  if (from !== to && !canMove(nlpMachine, from, to)) return expect(move).rejects.toMatchObject(illegal)
  const { events } = await move
  expect(written).toEqual([{ nlp_status: to, nlp_error_message: 'no words' }])
  expect(events).toMatchObject([{ event: 'extraction:status', data: { error_message: 'no words' } }])
})

describe.each(pairs(tokenizationMachine))('a tokenization that is %s', (from, to) => {
  test(`becomes ${to} where it may, or stays`, async () => {
    const { tx, written } = over({ id: 'tok_1', status: from, error_message: 'before' })
    const move = moveTokenization(tx, 'tok_1', to, { error_message: 'now' })
    if (from !== to && !canMove(tokenizationMachine, from, to)) {
      await expect(move).rejects.toMatchObject(illegal)
      return expect(written).toEqual([])
    }
    expect(await move).toEqual([
      {
        channel: 'tokenization/tok_1',
        event: 'tokenization:status',
        data: { tokenization_id: 'tok_1', status: to, error_message: 'now' },
      },
    ])
    const ended = ['ready', 'failed', 'cancelled'].includes(to)
    expect(written).toEqual([{ status: to, ...(ended && { completed_at: time }), error_message: 'now' }])
  })
})

test('an analysis that there is none of begins', async () => {
  const { tx, written } = over({ id: 'extr_1', status: 'completed', nlp_status: null })
  await moveExtraction(tx, 'extr_1', { nlp_status: 'pending' })
  expect(written).toEqual([{ nlp_status: 'pending' }])
})

test('a failure is told with its message; what is gone is not found', async () => {
  const { tx } = over({ id: 'train_1', status: 'running', error_message: null })
  const [unknown] = await moveTraining(tx, 'train_1', 'failed')
  expect(unknown.data).toMatchObject({ error_message: 'unknown' })
  const [known] = await moveTraining(tx, 'train_1', 'failed', { error_message: 'no memory' })
  expect(known.data).toMatchObject({ error_message: 'no memory' })
  const gone = { problem: { status: 404 } }
  await expect(lockJob(over(undefined).tx, 'job_1')).rejects.toMatchObject(gone)
  await expect(moveTraining(over(undefined).tx, 'train_1', 'failed')).rejects.toMatchObject(gone)
  await expect(moveExtraction(over(undefined).tx, 'extr_1', {})).rejects.toMatchObject(gone)
  await expect(moveTokenization(over(undefined).tx, 'tok_1', 'failed')).rejects.toMatchObject(gone)
})

// What becomes of a job whose runner has gone, or that can never start.
import { expect, test } from 'vitest'
import type { Transaction } from '../db/connect.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import { crashJob, giveUpJob } from './outcomes.ts'

/** A transaction in which every query finds a tokenization, and a job of it. */
function over(changes: object = {}, status = 'tokenizing') {
  const rows = [{ id: 'tok_1', status, error_message: null }]
  const tx = {
    select: () => ({ from: () => ({ where: () => ({ for: async () => rows }) }) }),
    update: () => ({ set: () => ({ where: async () => undefined }) }),
  } as unknown as Transaction
  const job = {
    ...{ id: 'job_1', kind: 'tokenize', entity: 'tokenization/tok_1', title: 'Tokenize', status: 'running' },
    ...{ request: null, crashes: 0, attempt: 1, ...changes },
  } as unknown as JobRow
  return { tx, job }
}

test('a crash is counted and tried again, until there were too many', async () => {
  const { tx, job } = over()
  let tries = 0
  for (; job.status !== 'failed'; tries++) {
    job.status = 'running'
    await crashJob(tx, job, { message: 'out of memory', closing: false })
    if (tries > 20) break
  }
  expect(tries).toBe(5)
  expect(job).toMatchObject({ status: 'failed', crashes: 5 })
  expect(job.error_message).toMatch(/5 times without getting further; the last time: out of memory/)
})

test('a runner that a closing host has ended did not crash', async () => {
  const { tx, job } = over({ crashes: 4 })
  await crashJob(tx, job, { message: 'it was ended', closing: true })
  expect(job).toMatchObject({ status: 'queued', crashes: 4 })
})

test('a job that waits for one which failed fails with its reason; for one which was cancelled or is gone it is cancelled', async () => {
  const cause = (status: string, error_message: string | null) =>
    ({ title: 'Tokenize a', status, error_message }) as unknown as JobRow
  for (const [given, status, message] of [
    [cause('failed', 'no text'), 'failed', 'Tokenize a: failed: no text'],
    [cause('failed', null), 'failed', 'Tokenize a: failed'],
    [cause('cancelled', null), 'cancelled', 'Tokenize a: cancelled'],
    [undefined, 'cancelled', 'a job it needs is gone'],
  ] as const) {
    const { tx, job } = over({ status: 'queued' }, 'queued')
    await giveUpJob(tx, job, given)
    expect(job.status).toBe(status)
    expect(job.error_message).toBe(message)
  }
})

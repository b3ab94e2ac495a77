// What kinds of jobs make of rows and of what their runners report, over a row instead of a database.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Transaction } from '../db/connect.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import type { RunnerEvent } from '../runners/spec.ts'
import type { KindContext } from './kind.ts'
import { kinds } from './kinds.ts'

const folder = mkdtempSync(join(tmpdir(), 'mistudio-kinds-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A transaction in which every query finds `row`. */
function over(row: object | undefined) {
  const written: Record<string, unknown>[] = []
  const rows = row === undefined ? [] : [row]
  const query = Object.assign(Promise.resolve(rows), { for: async () => rows })
  const joined = { innerJoin: () => joined, where: () => query }
  const tx = {
    select: () => ({ from: () => joined }),
    update: () => ({
      set: (values: Record<string, unknown>) => ({ where: async () => void written.push(values) }),
    }),
  }
  return { tx: tx as unknown as Transaction, written }
}

const jobOf = (entity: string, changes: object = {}) =>
  ({ id: 'job_1', entity, attempt: 1, status: 'running', ...changes }) as unknown as JobRow
const unexpected: RunnerEvent = { event: 'training:checkpoint', data: { training_id: 'train_1', step: 3 } }

describe('tokenize', () => {
  const job = jobOf('tokenization/tok_1')

  test('is told the files of its dataset and model', async () => {
    const row = {
      models: { path: 'm' },
      datasets: { path: 'd.jsonl', text_field: null, bad_lines: 0 },
      tokenizations: { context_size: 64 },
    }
    const storage = {
      modelDir: (path: string) => `models/${path}`,
      resolve: (path: string) => `data/${path}`,
    }
    const prepare = (found: object | undefined) =>
      kinds.tokenize.prepare(
        { database: { db: over(found).tx }, storage } as unknown as KindContext,
        job,
        'out',
      )
    const spec = {
      ...{ kind: 'tokenize', tokenizationId: 'tok_1', modelDir: 'models/m', file: 'data/d.jsonl' },
      ...{ textField: 'text', skipBadLines: false, contextSize: 64, out: 'out' },
    }
    expect(await prepare(row)).toEqual(spec)
    const other = { ...row, datasets: { path: 'd.jsonl', text_field: 'body', bad_lines: 1 } }
    expect(await prepare(other)).toEqual({ ...spec, textField: 'body', skipBadLines: true })
    await expect(prepare(undefined)).rejects.toThrow(/gone/)
  })

  test('tells its progress, and takes no other event', async () => {
    const { tx, written } = over({})
    const data = { tokenization_id: 'tok_1', progress: 0.25, documents: 2, tokens: 9 }
    expect(await kinds.tokenize.event(tx, job, { event: 'tokenization:progress', data })).toEqual({
      events: [
        { channel: job.entity, event: 'tokenization:progress', data: { ...data, status: 'tokenizing' } },
      ],
      progress: 0.25,
    })
    expect(written).toEqual([{ progress: 0.25 }])
    await expect(kinds.tokenize.event(tx, job, unexpected)).rejects.toThrow(/unexpected/)
  })
})

describe('train', () => {
  const job = jobOf('training/train_1')
  const member = (name: string, status: string) => ({ name, status })

  test('begins once, and says when', async () => {
    for (const [attempt, begins] of [
      [1, true],
      [2, false],
    ] as const) {
      const { tx, written } = over({ id: 'train_1', status: 'pending', error_message: 'old' })
      await kinds.train.started(tx, { ...job, attempt })
      expect(written[0]).toMatchObject({ status: 'initializing', error_message: null })
      expect('started_at' in written[0]).toBe(begins)
    }
  })

  test('SAEs that had not ended by themselves end with it', async () => {
    const saes = [
      member('a', 'training'),
      member('b', 'pending'),
      member('c', 'completed'),
      member('d', 'failed'),
    ]
    const row = { id: 'train_1', status: 'running', error_message: null, saes }
    const failing = over(row)
    await kinds.train.failed(failing.tx, job, 'no memory')
    expect(failing.written[0]).toMatchObject({
      status: 'failed',
      error_message: 'no memory',
      saes: [{ status: 'failed' }, { status: 'failed' }, { status: 'completed' }, { status: 'failed' }],
    })
    const stopped = over(row)
    await kinds.train.cancelled(stopped.tx, job)
    expect(stopped.written[0]).toMatchObject({
      status: 'cancelled',
      error_message: null,
      saes: [{ status: 'stopped' }, { status: 'stopped' }, { status: 'completed' }, { status: 'failed' }],
    })
  })

  test('a checkpoint is told and written nowhere; no other event is taken', async () => {
    const { tx, written } = over({})
    expect(await kinds.train.event(tx, job, unexpected)).toEqual({
      events: [
        { channel: job.entity, event: unexpected.event, data: { ...unexpected.data, status: 'running' } },
      ],
      further: true,
    })
    // Of an SAE that is tried again nobody is told.
    expect(await kinds.retry.event(tx, job, unexpected)).toEqual({ events: [], further: true })
    expect(written).toEqual([])
    await expect(kinds.finalise.event(tx, job, unexpected)).rejects.toThrow(/unexpected/)
    await expect(kinds.extract.event(tx, job, unexpected)).rejects.toThrow(/unexpected/)
    const data = { tokenization_id: 'tok_1', progress: 0.25, documents: 2, tokens: 9 }
    for (const kind of [kinds.train, kinds.retry]) {
      await expect(kind.event(tx, job, { event: 'tokenization:progress', data })).rejects.toThrow(
        /unexpected/,
      )
    }
  })
})

test('SAEs of a checkpoint come to their place once, in place of older ones', async () => {
  const storage = { resolve: (path: string) => join(folder, path) }
  const context = { storage } as unknown as KindContext
  const job = jobOf('training/train_1', { input: { step: 7 } })
  const out = join(folder, 'made')
  const place = join(folder, 'trainings/train_1/finalised/step-7')
  const collect = () => kinds.finalise.collect!(context, job, { kind: 'finalise' } as never, out)
  for (const text of ['first', 'second']) {
    mkdirSync(join(out, 'saes'), { recursive: true })
    writeFileSync(join(out, 'saes', 'cfg.json'), text)
    await collect()
    expect(readFileSync(join(place, 'cfg.json'), 'utf8')).toBe(text)
  }
  // After a crash in between.
  await collect()
  expect(readFileSync(join(place, 'cfg.json'), 'utf8')).toBe('second')
})

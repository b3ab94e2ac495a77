import type { JobStatus } from '@mistudio/contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readiness } from './ready.ts'

const all: JobStatus[] = ['queued', 'running', 'paused', 'completed', 'failed', 'cancelled']

test.each([
  ['queued', 'waiting'],
  ['running', 'waiting'],
  ['paused', 'waiting'],
  ['completed', 'ready'],
  ['failed', 'doomed'],
  ['cancelled', 'doomed'],
] as const)('a job that needs one which is %s is %s', (status, kind) => {
  expect(readiness({ needs: ['a'], after: [], statusOf: () => status }).kind).toBe(kind)
})

test.each([
  ['queued', 'waiting'],
  ['running', 'waiting'],
  ['paused', 'waiting'],
  ['completed', 'ready'],
  ['failed', 'ready'],
  ['cancelled', 'ready'],
] as const)('a job that comes after one which is %s is %s', (status, kind) => {
  expect(readiness({ needs: [], after: ['a'], statusOf: () => status }).kind).toBe(kind)
})

test('a job that is gone has ended, and not completed', () => {
  expect(readiness({ needs: ['a'], after: [], statusOf: () => undefined })).toEqual({
    kind: 'doomed',
    by: 'a',
  })
  expect(readiness({ needs: [], after: ['a'], statusOf: () => undefined }).kind).toBe('ready')
})

test('a batch goes on to its end whatever ends each member', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          extract: fc.constantFrom('completed', 'failed', 'cancelled'),
          nlp: fc.constantFrom(...(['completed', 'failed', 'cancelled', 'off'] as const)),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      members => {
        type Waiting = { id: string; needs: string[]; after: string[]; end: JobStatus }
        const jobs: Waiting[] = []
        for (const [i, member] of members.entries()) {
          const before = jobs.at(-1)
          jobs.push({
            id: `e${i}`,
            needs: [],
            after: before === undefined ? [] : [before.id],
            end: member.extract as JobStatus,
          })
          if (member.nlp !== 'off') jobs.push({ id: `n${i}`, needs: [`e${i}`], after: [], end: member.nlp })
        }
        const status = new Map<string, JobStatus>(jobs.map(({ id }) => [id, 'queued']))
        const started: string[] = []
        for (let round = 0; round < 2 * jobs.length; round++) {
          for (const job of jobs) {
            if (status.get(job.id) !== 'queued') continue
            const found = readiness({ ...job, statusOf: id => status.get(id) })
            if (found.kind === 'doomed') status.set(job.id, 'cancelled')
            if (found.kind !== 'ready') continue
            started.push(job.id)
            status.set(job.id, job.end)
          }
        }
        expect([...status.values()].filter(value => value === 'queued')).toEqual([])
        expect(started.filter(id => id.startsWith('e'))).toEqual(members.map((_, i) => `e${i}`))
        for (const [i, { extract, nlp }] of members.entries()) {
          expect(started.includes(`n${i}`)).toBe(nlp !== 'off' && extract === 'completed')
        }
      },
    ),
  )
})

test('anything that is not ready waits for a job that can still end', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...all)), fc.array(fc.constantFrom(...all)), (needed, before) => {
      const statuses = [...needed, ...before]
      const ids = statuses.map((_, i) => String(i))
      const found = readiness({
        needs: ids.slice(0, needed.length),
        after: ids.slice(needed.length),
        statusOf: id => statuses[Number(id)],
      })
      if (found.kind === 'waiting') {
        expect(statuses.some(status => ['queued', 'running', 'paused'].includes(status))).toBe(true)
      }
    }),
  )
})

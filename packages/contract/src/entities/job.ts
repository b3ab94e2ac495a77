// Jobs: the queue's view of what is running.
import { z } from 'zod'
import { count, idOf, share, time } from '../base.ts'
import { jobMachine, statesOf } from '../states.ts'

/** The kinds of jobs, each with its name for a person. A new one is a line here and a file in the server's jobs/kinds/. */
export const jobKindNames = {
  tokenize: 'Tokenize',
  train: 'Train',
  retry: 'retry',
  finalise: 'finalise',
  extract: 'Extract',
  nlp: 'NLP',
} as const
export type JobKind = keyof typeof jobKindNames
export const jobKinds = Object.keys(jobKindNames) as [JobKind, ...JobKind[]]

export const job = z
  .strictObject({
    id: idOf('job'),
    kind: z.enum(jobKinds),
    entity: z.string().meta({ description: 'what it works for, as in `training/train_…`; an event channel' }),
    title: z.string().meta({ description: 'for display: names, never ids' }),
    status: z.enum(statesOf(jobMachine)),
    progress: share,
    attempt: count.meta({ description: 'starts so far' }),
    needs: z.array(idOf('job')).meta({ description: 'jobs that must have completed' }),
    after: z.array(idOf('job')).meta({ description: 'jobs that must have ended, with any outcome' }),
    error_message: z.string().nullable(),
    created_at: time,
    started_at: time.nullable(),
    ended_at: time.nullable(),
  })
  .meta({ id: 'Job' })
export type Job = z.infer<typeof job>

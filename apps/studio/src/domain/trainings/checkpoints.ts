// Checkpoints of a training, what can be made of them, and one SAE tried again.
import { statSync } from 'node:fs'
import { type Checkpoint, channelOf, isTerminal, trainingMachine } from '@mistudio/contract'
import { checkpointDir, checkpointsOf, readState } from '@mistudio/training'
import { and, eq, inArray } from 'drizzle-orm'
import { type JobInput, jobs, trainings } from '../../db/schema.ts'
import { illegalMove, notFound, ProblemError } from '../../problem.ts'
import { folders } from '../../storage.ts'
import { newestRun } from '../jobs/attempts.ts'
import { jobEvent, newJob } from '../jobs/job.ts'
import type { Services } from '../services.ts'
import { finalisedCheckpoints } from './finished.ts'
import { changeMembers } from './member_changes.ts'

/** The newest first. A checkpoint that is being written or removed meanwhile is left out. */
export async function listCheckpoints({ db, storage }: Services, id: string): Promise<Checkpoint[]> {
  const [row] = await db.select().from(trainings).where(eq(trainings.id, id))
  if (row === undefined) throw notFound('training', id)
  const run = newestRun(storage.resolve(folders.training(id)))
  if (run === undefined) return []
  const finalised = new Set(
    finalisedCheckpoints({ storage, trainingId: id }).map(({ checkpoint }) => checkpoint),
  )
  const found = checkpointsOf(run)
  const fvus = found.flatMap(({ fvu }) => (fvu === null ? [] : [fvu]))
  const best = fvus.length === 0 ? null : Math.min(...fvus)
  return found.toReversed().flatMap(({ step, bytes, fvu }): Checkpoint[] => {
    try {
      const { members } = readState(run, step)
      return [
        {
          step,
          tokens: step * row.hyperparameters.batch_size,
          bytes,
          at: statSync(checkpointDir(run, step)).mtime.toISOString(),
          best: fvu !== null && fvu === best,
          fvu,
          saes: Object.keys(members).filter(name => members[name].status === 'training'),
          finalised: finalised.has(step),
        },
      ]
    } catch {
      return []
    }
  })
}

/** @param step of a checkpoint; undefined: what there is now, which ends a training that still runs */
export async function finaliseTraining(services: Services, id: string, step?: number): Promise<void> {
  const [row] = await services.db.select().from(trainings).where(eq(trainings.id, id))
  if (row === undefined) throw notFound('training', id)
  if (step === undefined) {
    if (row.job_id !== null) await services.host.stop(row.job_id, { keep: true })
    return
  }
  if (row.status !== 'paused' && !isTerminal(trainingMachine, row.status)) {
    throw illegalMove({
      entity: 'training',
      state: row.status,
      move: 'be finalised from a checkpoint',
      allowed: 'paused, completed, failed or cancelled',
    })
  }
  const steps = (await listCheckpoints(services, id)).map(checkpoint => checkpoint.step)
  if (!steps.includes(step)) {
    throw new ProblemError('invalid', {
      title: 'the training has no such checkpoint',
      field: 'step',
      found: String(step),
      expected: steps.length === 0 ? 'a training that kept checkpoints' : steps.join(', '),
    })
  }
  await queue(services, {
    id,
    kind: 'finalise',
    title: `Finalise ${row.name} at step ${step}`,
    input: { step },
  })
}

export async function retryMember(services: Services, id: string, member: string): Promise<void> {
  const [row] = await services.db.select().from(trainings).where(eq(trainings.id, id))
  if (row === undefined) throw notFound('training', id)
  if (!isTerminal(trainingMachine, row.status)) {
    throw illegalMove({
      entity: 'training',
      state: row.status,
      move: 'have an SAE tried again',
      allowed: 'completed, failed or cancelled',
    })
  }
  const found = row.saes.find(({ name }) => name === member)
  const able = row.saes.filter(({ status }) => status === 'failed' || status === 'stopped')
  if (found === undefined || !able.includes(found)) {
    throw new ProblemError(found === undefined ? 'invalid' : 'illegal_state', {
      title: found === undefined ? 'the training has no such SAE' : `the SAE is ${found.status}`,
      field: 'member',
      found: member,
      expected: able.map(({ name }) => name).join(', ') || 'one that failed or was stopped; there is none',
    })
  }
  await queue(services, { id, kind: 'retry', title: `Retry ${member} of ${row.name}`, input: { member } })
}

/** One such job at a time, and a retry goes on where the attempts before it ended. */
async function queue(
  services: Services,
  options: { id: string; kind: 'finalise' | 'retry'; title: string; input: JobInput },
): Promise<void> {
  const { id, kind, title, input } = options
  const entity = channelOf.training(id)
  await services.log.write(async tx => {
    await tx.select().from(trainings).where(eq(trainings.id, id)).for('update')
    const others = await tx
      .select()
      .from(jobs)
      .where(and(eq(jobs.entity, entity), inArray(jobs.kind, ['train', 'retry', 'finalise'])))
    const active = others.find(
      job => job.kind !== 'train' && (job.status === 'queued' || job.status === 'running'),
    )
    if (active !== undefined) {
      throw new ProblemError('conflict', {
        title: 'a job works on this training already',
        field: 'id',
        found: active.title,
        expected: 'a training that nothing works on',
      })
    }
    const earlier = others.filter(job => job.kind !== 'finalise').map(job => job.attempt)
    const attempt = kind === 'retry' ? Math.max(0, ...earlier) : 0
    const job = newJob({ kind, entity, title, input, attempt })
    await tx.insert(jobs).values(job)
    const told =
      input.member === undefined
        ? []
        : await changeMembers(tx, id, one =>
            one.name === input.member ? { ...one, status: 'pending', error_message: null } : one,
          )
    return [...told, jobEvent(job)]
  })
  services.host.wake()
}

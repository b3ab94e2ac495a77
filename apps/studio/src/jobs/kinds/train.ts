// Train: SAEs of all hook points from one pass. An attempt takes over the run of the one before, so it goes on from
// the last checkpoint; the host has made sure that no runner of that attempt lives.
import type { TrainingMember } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { trainings } from '../../db/schema.ts'
import { takeOver } from '../../domain/jobs/attempts.ts'
import { entityId } from '../../domain/jobs/job.ts'
import { moveTraining } from '../../domain/trainings/move.ts'
import type { NewEvent } from '../../events/log.ts'
import { folders } from '../../storage.ts'
import { defineKind } from '../kind.ts'
import { trainingSpec } from './training_spec.ts'

const runOf = (path: string) => `${path}/run`

export default defineKind('train', {
  folder: job => folders.training(entityId(job)),
  async prepare(context, job, out) {
    const spec = await trainingSpec(context, entityId(job))
    const folder = context.storage.resolve(folders.training(entityId(job)))
    takeOver({ folder, attempt: job.attempt, name: 'run' })
    return { ...spec, out }
  },
  started: (tx, job) =>
    moveTraining(tx, entityId(job), 'initializing', { error_message: null, ...startedAt(job.attempt) }),
  async event(tx, job, { event, data }) {
    const id = entityId(job)
    if (event === 'training:checkpoint') {
      const events: NewEvent[] = [{ channel: job.entity, event, data: { ...data, status: 'running' } }]
      return { events, further: true }
    }
    if (event !== 'training:progress') throw new Error(`unexpected ${event}`)
    const { training_id: _, total_tokens: __, learning_rate: ___, ...measured } = data
    const { progress } = measured
    const [row] = await tx.select({ status: trainings.status }).from(trainings).where(eq(trainings.id, id))
    const moved = row?.status === 'initializing' ? await moveTraining(tx, id, 'running') : []
    await tx.update(trainings).set(measured).where(eq(trainings.id, id))
    const full = { ...data, status: 'running' as const }
    return { events: [...moved, { channel: job.entity, event, data: full }], progress }
  },
  requeued: (tx, job) => moveTraining(tx, entityId(job), 'pending'),
  failed: async (tx, job, message) =>
    moveTraining(tx, entityId(job), 'failed', {
      error_message: message,
      saes: await endedMembers(tx, entityId(job), 'failed'),
    }),
  cancelled: async (tx, job, reason) =>
    moveTraining(tx, entityId(job), 'cancelled', {
      error_message: reason ?? null,
      saes: await endedMembers(tx, entityId(job), 'stopped'),
    }),
  paused: (tx, job) => moveTraining(tx, entityId(job), 'paused'),
  resumed: (tx, job) => moveTraining(tx, entityId(job), 'pending'),
  stopped: async (tx, job, { path }) =>
    moveTraining(tx, entityId(job), 'cancelled', {
      kept: true,
      path: runOf(path),
      saes: await endedMembers(tx, entityId(job), 'stopped'),
    }),
  async completed(tx, job, { result, path }) {
    const { step, totalSteps, tokens } = result
    const id = entityId(job)
    const values = { path: runOf(path), progress: 1, step, total_steps: totalSteps, tokens }
    await moveTraining(tx, id, 'completed', values)
    const [row] = await tx.select().from(trainings).where(eq(trainings.id, id))
    const data = {
      training_id: id,
      status: 'completed' as const,
      progress: 1,
      step,
      total_steps: totalSteps,
      tokens,
      total_tokens: tokens,
      outlier_tokens: row.outlier_tokens,
      saes: row.saes,
    }
    return [{ channel: job.entity, event: 'training:completed', data }]
  },
  endedEarly: ({ status }) => status === 'stopped',
  subject: 'training',
})

const startedAt = (attempt: number) => (attempt === 1 ? { started_at: new Date() } : {})

/** An SAE that had not ended by itself has ended with its training. */
async function endedMembers(
  tx: Transaction,
  id: string,
  status: 'failed' | 'stopped',
): Promise<TrainingMember[]> {
  const [row] = await tx.select({ saes: trainings.saes }).from(trainings).where(eq(trainings.id, id))
  return (row?.saes ?? []).map(sae =>
    sae.status === 'pending' || sae.status === 'training' ? { ...sae, status } : sae,
  )
}

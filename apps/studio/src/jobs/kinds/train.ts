// Train: SAEs of all hook points from one pass. An attempt takes over the run of the one before, so it goes on from
// the last checkpoint; the host has made sure that no runner of that attempt lives.
import { and, eq, inArray } from 'drizzle-orm'
import { datasets, models, tokenizations, trainings } from '../../db/schema.ts'
import { runMembers } from '../../routes/training_members.ts'
import { folders } from '../../storage.ts'
import { takeOver } from '../attempts.ts'
import { type JobKindHandler, resultOf } from '../kind.ts'
import { moveTraining } from '../moves.ts'
import { entityId } from '../plan.ts'

const runOf = (path: string) => `${path}/run`

export const trainKind: JobKindHandler = {
  folder: job => folders.training(entityId(job)),
  async prepare({ database: { db }, storage }, job, out) {
    const trainingId = entityId(job)
    const [row] = await db
      .select()
      .from(trainings)
      .innerJoin(models, eq(models.id, trainings.model_id))
      .where(eq(trainings.id, trainingId))
    if (row === undefined) throw new Error('the training is gone')
    const { dataset_ids, dataset_weights, hyperparameters } = row.trainings
    const stores = await db
      .select()
      .from(tokenizations)
      .innerJoin(datasets, eq(datasets.id, tokenizations.dataset_id))
      .where(
        and(
          inArray(tokenizations.dataset_id, dataset_ids),
          eq(tokenizations.model_id, row.models.id),
          eq(tokenizations.context_size, hyperparameters.context_size),
          eq(tokenizations.status, 'ready'),
        ),
      )
    const ordered = dataset_ids.map(id => {
      const found = stores.find(store => store.datasets.id === id)
      if (found === undefined) throw new Error('a dataset of the training is not tokenized for its model')
      return found
    })
    const folder = storage.resolve(folders.training(trainingId))
    takeOver({ folder, attempt: job.attempt, name: 'run' })
    return {
      kind: 'train',
      trainingId,
      modelDir: storage.modelDir(row.models.path),
      modelName: row.models.name,
      cacheDir: storage.cacheDir,
      stores: ordered.map(store => storage.resolve(store.tokenizations.path!)),
      datasetNames: ordered.map(store => store.datasets.name),
      datasetWeights: dataset_weights,
      members: runMembers(row.trainings),
      hyperparameters,
      out,
    }
  },
  started: (tx, job) =>
    moveTraining(tx, entityId(job), 'initializing', { error_message: null, ...startedAt(job.attempt) }),
  async event(tx, job, { event, data }) {
    const id = entityId(job)
    if (event === 'training:checkpoint') {
      return { events: [{ channel: job.entity, event, data: { ...data, status: 'running' } }] }
    }
    if (event !== 'training:progress') throw new Error(`unexpected ${event}`)
    const { progress, step, total_steps, tokens, tokens_per_second, eta_seconds, saes } = data
    const [row] = await tx.select({ status: trainings.status }).from(trainings).where(eq(trainings.id, id))
    const moved = row?.status === 'initializing' ? await moveTraining(tx, id, 'running') : []
    await tx
      .update(trainings)
      .set({ progress, step, total_steps, tokens, tokens_per_second, eta_seconds, saes })
      .where(eq(trainings.id, id))
    const full = { ...data, status: 'running' as const }
    return { events: [...moved, { channel: job.entity, event, data: full }], progress }
  },
  requeued: (tx, job) => moveTraining(tx, entityId(job), 'pending'),
  failed: (tx, job, message) => moveTraining(tx, entityId(job), 'failed', { error_message: message }),
  cancelled: (tx, job, reason) =>
    moveTraining(tx, entityId(job), 'cancelled', { error_message: reason ?? null }),
  paused: (tx, job) => moveTraining(tx, entityId(job), 'paused'),
  resumed: (tx, job) => moveTraining(tx, entityId(job), 'pending'),
  stopped: (tx, job, { path }) =>
    moveTraining(tx, entityId(job), 'cancelled', { kept: true, path: runOf(path) }),
  async completed(tx, job, { result, path }) {
    const { step, totalSteps, tokens } = resultOf('train', result)
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
      saes: row.saes,
    }
    return [{ channel: job.entity, event: 'training:completed', data }]
  },
}

const startedAt = (attempt: number) => (attempt === 1 ? { started_at: new Date() } : {})

// Trainings: views, moves and deletion. How one is made: training_plan.ts.
import { isTerminal, type Training, trainingMachine } from '@mistudio/contract'
import { desc, eq, type SQL } from 'drizzle-orm'
import type { Executor } from '../db/connect.ts'
import { models, saes, trainings } from '../db/schema.ts'
import { forget, inUse, removeFolders } from '../domain/changes.ts'
import { datasetNames } from '../domain/datasets/names.ts'
import { iso, isoOrNull, type Paging, pageOfItems } from '../domain/paging.ts'
import { availableSaes, saesAvailable } from '../domain/saes/offered.ts'
import type { Services } from '../domain/services.ts'
import { adviceFor } from '../domain/trainings/advice.ts'
import { finaliseTraining, listCheckpoints, retryMember } from '../domain/trainings/checkpoints.ts'
import { createTraining } from '../domain/trainings/plan.ts'
import { illegalMove, notFound } from '../problem.ts'
import { folders } from '../storage.ts'
import type { Handlers } from './register.ts'

async function selectTrainings(db: Executor, where: SQL | undefined, page?: Paging): Promise<Training[]> {
  const found = await db
    .select({ row: trainings, model_name: models.name })
    .from(trainings)
    .innerJoin(models, eq(models.id, trainings.model_id))
    .where(where)
    .orderBy(desc(trainings.created_at), desc(trainings.id))
    .limit(page?.limit ?? 1)
    .offset(page?.offset ?? 0)
  const names = await datasetNames(
    db,
    found.map(({ row }) => row.dataset_ids),
  )
  return found.map(({ row, model_name }) => {
    const { path: _, created_at, started_at, completed_at, ...rest } = row
    const { train_tokens, batch_size } = row.hyperparameters
    return {
      ...rest,
      model_name,
      dataset_names: names(row.dataset_ids),
      // Whole batches, as the trainer counts them.
      total_tokens: Math.ceil(train_tokens / batch_size) * batch_size,
      saes_available: saesAvailable(row),
      created_at: iso(created_at),
      started_at: isoOrNull(started_at),
      completed_at: isoOrNull(completed_at),
    }
  })
}

export async function findTraining(db: Executor, id: string): Promise<Training> {
  const [found] = await selectTrainings(db, eq(trainings.id, id))
  if (found === undefined) throw notFound('training', id)
  return found
}

async function removeTraining(services: Services, id: string): Promise<void> {
  await services.log.write(async tx => {
    const [row] = await tx.select().from(trainings).where(eq(trainings.id, id)).for('update')
    if (row === undefined) throw notFound('training', id)
    if (!isTerminal(trainingMachine, row.status)) {
      throw illegalMove({
        entity: 'training',
        state: row.status,
        move: 'be deleted',
        allowed: 'completed, failed or cancelled',
      })
    }
    const [sae] = await tx.select().from(saes).where(eq(saes.training_id, id)).limit(1)
    if (sae !== undefined) throw inUse({ entity: 'training', name: row.name, by: `the SAE ${sae.name}` })
    await tx.delete(trainings).where(eq(trainings.id, id))
    return await forget(tx, [`training/${id}`])
  })
  await removeFolders(services, [folders.training(id)])
}

type Names =
  | 'listTrainings'
  | 'createTraining'
  | 'getTraining'
  | 'pauseTraining'
  | 'resumeTraining'
  | 'stopTraining'
  | 'deleteTraining'
  | 'adviseTraining'
  | 'listCheckpoints'
  | 'finaliseTraining'
  | 'retryTraining'
  | 'listTrainingSaes'

export function trainingHandlers(services: Services): Pick<Handlers, Names> {
  const { db, host } = services
  /** The host moves the job and the training with it. */
  async function move(id: string, work: (jobId: string) => Promise<void>): Promise<Training> {
    const { job_id } = await findTraining(db, id)
    if (job_id !== null) await work(job_id)
    return findTraining(db, id)
  }
  return {
    async listTrainings({ query }) {
      const data = await selectTrainings(db, undefined, query)
      return pageOfItems({ data, total: await db.$count(trainings), query })
    },
    async createTraining({ body }) {
      return findTraining(db, await createTraining(services, body))
    },
    adviseTraining: ({ body }) => adviceFor(services, body),
    getTraining: ({ params }) => findTraining(db, params.id),
    pauseTraining: ({ params }) => move(params.id, job => host.pause(job)),
    resumeTraining: ({ params }) => move(params.id, job => host.resume(job)),
    stopTraining: ({ params, body }) => move(params.id, job => host.stop(job, { keep: body.keep })),
    async listCheckpoints({ params }) {
      return { data: await listCheckpoints(services, params.id) }
    },
    async finaliseTraining({ params, body }) {
      await finaliseTraining(services, params.id, body.step)
      return findTraining(db, params.id)
    },
    async retryTraining({ params, body }) {
      await retryMember(services, params.id, body.member)
      return findTraining(db, params.id)
    },
    deleteTraining: ({ params }) => removeTraining(services, params.id),
    async listTrainingSaes({ params }) {
      return { data: await availableSaes(services, params.id) }
    },
  }
}

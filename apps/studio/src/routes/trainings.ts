// Trainings: lists, moves, and what can be made of them.
import type { Training } from '@mistudio/contract'
import { availableSaes } from '../domain/saes/offered.ts'
import type { Services } from '../domain/services.ts'
import { adviceFor } from '../domain/trainings/advice.ts'
import { finaliseTraining, listCheckpoints, retryMember } from '../domain/trainings/checkpoints.ts'
import { findTraining, listTrainings } from '../domain/trainings/find.ts'
import { createTraining } from '../domain/trainings/plan.ts'
import { removeTraining } from '../domain/trainings/remove.ts'
import type { Handlers } from './register.ts'

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
    listTrainings: ({ query }) => listTrainings(db, query),
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

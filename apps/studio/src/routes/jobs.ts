// Jobs: the queue as a person may see it.
import { findJob, listJobs } from '../domain/jobs/find.ts'
import type { Services } from '../domain/services.ts'
import type { Handlers } from './register.ts'

export function jobHandlers({ db }: Services): Pick<Handlers, 'listJobs' | 'getJob'> {
  return {
    listJobs: ({ query }) => listJobs(db, { active: query.active === true, page: query }),
    getJob: ({ params }) => findJob(db, params.id),
  }
}

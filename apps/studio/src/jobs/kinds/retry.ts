// Retry: one SAE of an ended training again, from its last checkpoint. The run moves into this job's attempt, as it does
// between the attempts of a training, and the rows that name its folder with it; the training stays what it was.
import { eq } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { saes, trainings } from '../../db/schema.ts'
import { takeOver } from '../../domain/jobs/attempts.ts'
import { entityId, type JobRow } from '../../domain/jobs/job.ts'
import { changeMembers } from '../../domain/trainings/member_changes.ts'
import type { NewEvent } from '../../events/log.ts'
import { folders } from '../../storage.ts'
import { defineKind } from '../kind.ts'
import { trainingSpec } from './training_spec.ts'

const memberOf = ({ input }: JobRow): string => {
  if (input?.member === undefined) throw new Error('a retry without an SAE')
  return input.member
}

export default defineKind('train', {
  folder: job => folders.training(entityId(job)),
  async prepare(context, job, out) {
    const { database, storage } = context
    const id = entityId(job)
    const spec = await trainingSpec(context, id)
    takeOver({ folder: storage.resolve(folders.training(id)), attempt: job.attempt, name: 'run' })
    const run = `${folders.attempt(folders.training(id), job.attempt)}/run`
    await database.db.transaction(tx => moveRun(tx, id, run))
    return { ...spec, retry: memberOf(job), out }
  },
  started: (tx, job) => changed(tx, job, { status: 'training', error_message: null }),
  async event(tx, job, { event, data }) {
    if (event === 'training:checkpoint') return { events: [], further: true }
    if (event !== 'training:progress') throw new Error(`unexpected ${event}`)
    const [told] = data.saes
    return { events: await changed(tx, job, told), progress: data.progress }
  },
  requeued: (tx, job) => changed(tx, job, { status: 'pending' }),
  failed: (tx, job, message) => changed(tx, job, { status: 'failed', error_message: message }),
  cancelled: (tx, job) => changed(tx, job, { status: 'stopped' }),
  async completed(tx, job, { path }) {
    await moveRun(tx, entityId(job), `${path}/run`)
    return await changed(tx, job, { status: 'completed', error_message: null })
  },
  endedEarly: ({ status }) => status === 'stopped',
})

const changed = (
  tx: Transaction,
  job: JobRow,
  values: Parameters<typeof changeMembers>[2] extends (member: infer M) => unknown ? Partial<M> : never,
): Promise<NewEvent[]> =>
  changeMembers(tx, entityId(job), member =>
    member.name === memberOf(job) ? { ...member, ...values } : member,
  )

/** The rows follow the files. Those of a checkpoint lie elsewhere. */
async function moveRun(tx: Transaction, id: string, run: string): Promise<void> {
  const [row] = await tx.select().from(trainings).where(eq(trainings.id, id)).for('update')
  if (row?.path !== null) await tx.update(trainings).set({ path: run }).where(eq(trainings.id, id))
  const imported = await tx.select().from(saes).where(eq(saes.training_id, id))
  for (const { id: saeId, member, checkpoint } of imported) {
    if (member === null || checkpoint !== null) continue
    await tx
      .update(saes)
      .set({ path: `${run}/${member}` })
      .where(eq(saes.id, saeId))
  }
}

// What a job says of the SAEs of a training that does not itself move: its row and the event that tells of it.
import { channelOf, type TrainingMember } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { trainings } from '../../db/schema.ts'
import type { NewEvent } from '../../events/log.ts'

/** Changes members of the row. @returns the event, with all of them */
export async function changeMembers(
  tx: Transaction,
  id: string,
  change: (member: TrainingMember) => TrainingMember,
): Promise<NewEvent[]> {
  const [row] = await tx.select().from(trainings).where(eq(trainings.id, id)).for('update')
  if (row === undefined) return []
  const saes = row.saes.map(change)
  await tx.update(trainings).set({ saes }).where(eq(trainings.id, id))
  const data = { training_id: id, status: row.status, saes }
  return [{ channel: channelOf.training(id), event: 'training:members', data }]
}

/** That something about the training is new, or went wrong; its state is what it was. */
export async function tellTraining(
  tx: Transaction,
  id: string,
  error_message: string | null,
): Promise<NewEvent[]> {
  const [row] = await tx.select().from(trainings).where(eq(trainings.id, id))
  if (row === undefined) return []
  const data = { training_id: id, status: row.status, error_message: error_message ?? row.error_message }
  return [{ channel: channelOf.training(id), event: 'training:status', data }]
}

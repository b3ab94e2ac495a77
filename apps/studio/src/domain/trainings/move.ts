// Moving a training: its row and the event that tells of it, in the transaction of whoever moves it.
import { type TrainingStatus, trainingMachine } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { trainings } from '../../db/schema.ts'
import type { NewEvent } from '../../events/log.ts'
import { notFound } from '../../problem.ts'
import { checkMove } from '../moves.ts'

type Training = typeof trainings.$inferSelect

export async function moveTraining(
  tx: Transaction,
  id: string,
  status: TrainingStatus,
  changes: Partial<Training> = {},
): Promise<NewEvent[]> {
  const [row] = await tx.select().from(trainings).where(eq(trainings.id, id)).for('update')
  if (row === undefined) throw notFound('training', id)
  if (row.status !== status) checkMove(trainingMachine, row.status, status)
  const ended = status === 'completed' || status === 'failed' || status === 'cancelled'
  const still = status === 'running' || status === 'initializing'
  const values = {
    status,
    ...(ended && { completed_at: new Date() }),
    ...(!still && { tokens_per_second: null, eta_seconds: null, memory_bytes: null }),
    ...changes,
  }
  await tx.update(trainings).set(values).where(eq(trainings.id, id))
  const error_message = values.error_message ?? row.error_message
  const channel = `training/${id}`
  const data = { training_id: id, status }
  if (status === 'failed') {
    return [
      { channel, event: 'training:failed', data: { ...data, error_message: error_message ?? 'unknown' } },
    ]
  }
  return [{ channel, event: 'training:status', data: { ...data, error_message } }]
}

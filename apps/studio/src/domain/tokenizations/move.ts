// Moving a tokenization: its row and the event that tells of it, in the transaction of whoever moves it.
import { type TokenizationStatus, tokenizationMachine } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { tokenizations } from '../../db/schema.ts'
import type { NewEvent } from '../../events/log.ts'
import { notFound } from '../../problem.ts'
import { checkMove } from '../moves.ts'

type Tokenization = typeof tokenizations.$inferSelect

export async function moveTokenization(
  tx: Transaction,
  id: string,
  status: TokenizationStatus,
  changes: Partial<Tokenization> = {},
): Promise<NewEvent[]> {
  const [row] = await tx.select().from(tokenizations).where(eq(tokenizations.id, id)).for('update')
  if (row === undefined) throw notFound('tokenization', id)
  if (row.status !== status) checkMove(tokenizationMachine, row.status, status)
  const ended = status === 'ready' || status === 'failed' || status === 'cancelled'
  const values = { status, ...(ended && { completed_at: new Date() }), ...changes }
  await tx.update(tokenizations).set(values).where(eq(tokenizations.id, id))
  const error_message = values.error_message ?? row.error_message
  const data = { tokenization_id: id, status, error_message }
  return [{ channel: `tokenization/${id}`, event: 'tokenization:status', data }]
}

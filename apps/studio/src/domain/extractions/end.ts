// Cancelling and removing an extraction: which of its two jobs is meant, and when it may go.
import { type Extraction, extractionMachine, isTerminal } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import { extractions } from '../../db/schema.ts'
import { illegalMove, notFound } from '../../problem.ts'
import { folders } from '../../storage.ts'
import { forget, removeFolders } from '../changes.ts'
import type { Services } from '../services.ts'
import { findExtraction } from './find.ts'

const nlpActive = (row: { nlp_status: Extraction['nlp_status'] }) =>
  row.nlp_status === 'pending' || row.nlp_status === 'processing'

/** The extraction while it is not completed, then its analysis. */
export async function cancelExtraction({ db, host }: Services, id: string): Promise<Extraction> {
  const [row] = await db.select().from(extractions).where(eq(extractions.id, id))
  if (row === undefined) throw notFound('extraction', id)
  const analysis = row.status === 'completed' && nlpActive(row)
  const job = analysis ? row.nlp_job_id : row.job_id
  if (job === null || (!analysis && isTerminal(extractionMachine, row.status))) {
    throw illegalMove({
      entity: 'extraction',
      state: row.status,
      move: 'be cancelled',
      allowed: 'queued, extracting, or completed with an analysis that has not ended',
    })
  }
  await host.cancel(job)
  return findExtraction(db, id)
}

export async function removeExtraction(services: Services, id: string): Promise<void> {
  const { log, shelf, storage } = services
  let path: string | null = null
  await log.write(async tx => {
    const [row] = await tx.select().from(extractions).where(eq(extractions.id, id)).for('update')
    if (row === undefined) throw notFound('extraction', id)
    const ended = isTerminal(extractionMachine, row.status)
    if (!ended || nlpActive(row)) {
      throw illegalMove({
        entity: 'extraction',
        state: ended ? `${row.status} with an analysis that is ${row.nlp_status}` : row.status,
        move: 'be deleted',
        allowed: 'completed, failed or cancelled, its analysis too',
      })
    }
    path = row.path
    // Its features go with it.
    await tx.delete(extractions).where(eq(extractions.id, id))
    return await forget(tx, [`extraction/${id}`])
  })
  if (path !== null) await shelf.drop(storage.resolve(path))
  await removeFolders(services, [folders.extraction(id)])
}

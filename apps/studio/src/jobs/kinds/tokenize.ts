// Tokenize: a dataset's text to a token store.
import { eq } from 'drizzle-orm'
import { datasets, models, tokenizations } from '../../db/schema.ts'
import { entityId } from '../../domain/jobs/job.ts'
import { moveTokenization } from '../../domain/tokenizations/move.ts'
import { folders } from '../../storage.ts'
import { defineKind } from '../kind.ts'

export default defineKind('tokenize', {
  folder: job => folders.tokenization(entityId(job)),
  async prepare({ database: { db }, storage }, job, out) {
    const id = entityId(job)
    const [row] = await db
      .select()
      .from(tokenizations)
      .innerJoin(datasets, eq(datasets.id, tokenizations.dataset_id))
      .innerJoin(models, eq(models.id, tokenizations.model_id))
      .where(eq(tokenizations.id, id))
    if (row === undefined) throw new Error('the tokenization is gone')
    return {
      tokenizationId: id,
      modelDir: storage.modelDir(row.models.path),
      file: storage.resolve(row.datasets.path),
      textField: row.datasets.text_field ?? 'text',
      skipBadLines: row.datasets.bad_lines > 0,
      contextSize: row.tokenizations.context_size,
      out,
    }
  },
  started: (tx, job) => moveTokenization(tx, entityId(job), 'tokenizing', { error_message: null }),
  async event(tx, job, { event, data }) {
    if (event !== 'tokenization:progress') throw new Error(`unexpected ${event}`)
    const id = entityId(job)
    await tx.update(tokenizations).set({ progress: data.progress }).where(eq(tokenizations.id, id))
    const full = { ...data, status: 'tokenizing' as const }
    return { events: [{ channel: job.entity, event, data: full }], progress: data.progress }
  },
  requeued: (tx, job) => moveTokenization(tx, entityId(job), 'queued', { progress: 0 }),
  failed: (tx, job, message) => moveTokenization(tx, entityId(job), 'failed', { error_message: message }),
  cancelled: (tx, job, reason) =>
    moveTokenization(tx, entityId(job), 'cancelled', { error_message: reason ?? null }),
  completed(tx, job, { result, path }) {
    const { vocabSize, splits } = result
    const values = { progress: 1, vocab_size: vocabSize, splits, path: `${path}/store` }
    return moveTokenization(tx, entityId(job), 'ready', values)
  },
})

// Datasets: text in the data folder.
import { type Dataset, datasetUpload } from '@mistudio/contract'
import { and, desc, eq, inArray, sql } from 'drizzle-orm'
import type { FastifyRequest } from 'fastify'
import type { Executor, Transaction } from '../db/connect.ts'
import { datasets, extractions, tokenizations, trainings } from '../db/schema.ts'
import { changed, forget, inUse, removeFolders } from '../domain/changes.ts'
import { removeText, storeText, textPath } from '../domain/datasets/uploads.ts'
import { iso, pageOfItems } from '../domain/paging.ts'
import type { Services } from '../domain/services.ts'
import { newId } from '../ids.ts'
import { notFound, ProblemError } from '../problem.ts'
import { parsePart } from '../problem_of.ts'
import { folders } from '../storage.ts'
import type { Handlers } from './register.ts'

type Row = typeof datasets.$inferSelect

const toDataset = ({ path: _, created_at, ...row }: Row): Dataset => ({ ...row, created_at: iso(created_at) })

export async function findDataset(db: Executor, id: string): Promise<Dataset> {
  const [row] = await db.select().from(datasets).where(eq(datasets.id, id))
  if (row === undefined) throw notFound('dataset', id)
  return toDataset(row)
}

export async function createDataset(
  services: Services,
  options: {
    source: AsyncIterable<Uint8Array>
    fileName: string
    origin: Row['source']
    name?: string
    textField: string
    skipBadLines: boolean
  },
): Promise<Dataset> {
  const { storage, log, db } = services
  const { fileName, origin, name = fileName.slice(0, 200), textField } = options
  const id = newId('dataset')
  const { format, sizeBytes, documents, badLines } = await storeText({ ...options, storage, datasetId: id })
  try {
    await log.write(async tx => {
      await tx.insert(datasets).values({
        id,
        name,
        source: origin,
        format,
        status: 'ready',
        path: textPath(id, format),
        size_bytes: sizeBytes,
        documents,
        bad_lines: badLines,
        text_field: format === 'jsonl' ? textField : null,
      })
      return [changed(`dataset/${id}`, 'created')]
    })
  } catch (error) {
    await removeText({ storage, datasetId: id })
    throw error
  }
  return findDataset(db, id)
}

/** The one file of a multipart body, after its fields. */
async function upload(services: Services, raw: FastifyRequest): Promise<Dataset> {
  if (!raw.isMultipart()) throw misplaced('a body that is not multipart', 'multipart/form-data')
  const parts = raw.parts({
    limits: { fileSize: services.maxUploadBytes, files: 1, fields: 10, fieldSize: 1000 },
  })
  const fields: Record<string, unknown> = {}
  let created: Dataset | undefined
  try {
    for await (const part of parts) {
      if (created !== undefined) throw misplaced(`${part.fieldname} after the file`, 'fields before the file')
      if (part.type === 'field') {
        if (part.fieldname in fields) throw misplaced(`${part.fieldname} twice`, 'each field once')
        fields[part.fieldname] = part.value
        continue
      }
      if (part.fieldname !== 'file') throw misplaced(`a file named ${part.fieldname}`, 'a file named file')
      const { name, text_field, skip_bad_lines } = parsePart({
        schema: datasetUpload,
        value: fields,
        part: 'body',
      })
      created = await createDataset(services, {
        source: wholeFile(part.file),
        fileName: part.filename,
        origin: 'upload',
        name,
        textField: text_field,
        skipBadLines: skip_bad_lines,
      })
    }
    if (created === undefined) throw misplaced('no file', 'a file named file')
    return created
  } catch (error) {
    if (created !== undefined) await removeDataset(services, created.id)
    // Read to the end, or the client would still be writing when the answer comes, and never see it.
    raw.raw.unpipe()
    raw.raw.resume()
    throw raw.raw.destroyed && !raw.raw.complete ? misplaced('an end in the middle', 'the whole file') : error
  }
}

/** The parser cuts a file at its limit, and says so afterwards. */
async function* wholeFile(file: AsyncIterable<Uint8Array> & { truncated: boolean; bytesRead: number }) {
  yield* file
  if (!file.truncated) return
  const expected = `at most ${file.bytesRead} bytes`
  throw new ProblemError('too_large', { title: 'the file is too large', field: 'file', expected })
}

const misplaced = (found: string, expected: string) =>
  new ProblemError('invalid', { title: 'the upload cannot be used', field: 'file', found, expected })

async function removeDataset(services: Services, id: string): Promise<void> {
  let stores: string[] = []
  await services.log.write(async tx => {
    const [row] = await tx.select().from(datasets).where(eq(datasets.id, id)).for('update')
    if (row === undefined) throw notFound('dataset', id)
    const user = await userOf(tx, id)
    if (user !== undefined) throw inUse({ entity: 'dataset', name: row.name, by: user })
    // Its token stores are made from it alone, and can be made again.
    const gone = await tx.delete(tokenizations).where(eq(tokenizations.dataset_id, id)).returning()
    stores = gone.map(store => store.id)
    await tx.delete(datasets).where(eq(datasets.id, id))
    return await forget(tx, [`dataset/${id}`, ...stores.map(store => `tokenization/${store}`)])
  })
  await removeFolders(services, [folders.dataset(id), ...stores.map(folders.tokenization)])
}

async function userOf(tx: Transaction, id: string): Promise<string | undefined> {
  const ids = JSON.stringify([id])
  const [training] = await tx
    .select()
    .from(trainings)
    .where(sql`${trainings.dataset_ids} @> ${ids}::jsonb`)
    .limit(1)
  if (training !== undefined) return `the training ${training.name}`
  const [extraction] = await tx
    .select({ id: extractions.id })
    .from(extractions)
    .where(sql`${extractions.dataset_ids} @> ${ids}::jsonb`)
    .limit(1)
  if (extraction !== undefined) return 'an extraction'
  const active = and(
    eq(tokenizations.dataset_id, id),
    inArray(tokenizations.status, ['queued', 'tokenizing']),
  )
  const [tokenization] = await tx.select({ id: tokenizations.id }).from(tokenizations).where(active).limit(1)
  return tokenization === undefined ? undefined : 'a tokenization that runs'
}

type Names = 'listDatasets' | 'uploadDataset' | 'getDataset' | 'deleteDataset'

export function datasetHandlers(services: Services): Pick<Handlers, Names> {
  const { db } = services
  return {
    async listDatasets({ query }) {
      const rows = await db
        .select()
        .from(datasets)
        .orderBy(desc(datasets.created_at), desc(datasets.id))
        .limit(query.limit)
        .offset(query.offset)
      return pageOfItems({ data: rows.map(toDataset), total: await db.$count(datasets), query })
    },
    uploadDataset: ({ raw }) => upload(services, raw),
    getDataset: ({ params }) => findDataset(db, params.id),
    deleteDataset: ({ params }) => removeDataset(services, params.id),
  }
}

// Datasets: lists, and the upload of a text as a multipart body.
import { type Dataset, datasetUpload } from '@mistudio/contract'
import type { FastifyRequest } from 'fastify'
import { createDataset } from '../domain/datasets/create.ts'
import { findDataset, listDatasets } from '../domain/datasets/find.ts'
import { removeDataset } from '../domain/datasets/remove.ts'
import type { Services } from '../domain/services.ts'
import { ProblemError } from '../problem.ts'
import { parsePart } from '../problem_of.ts'
import type { Handlers } from './register.ts'

type Names = 'listDatasets' | 'uploadDataset' | 'getDataset' | 'deleteDataset'

export function datasetHandlers(services: Services): Pick<Handlers, Names> {
  const { db } = services
  return {
    listDatasets: ({ query }) => listDatasets(db, query),
    uploadDataset: ({ raw }) => upload(services, raw),
    getDataset: ({ params }) => findDataset(db, params.id),
    deleteDataset: ({ params }) => removeDataset(services, params.id),
  }
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

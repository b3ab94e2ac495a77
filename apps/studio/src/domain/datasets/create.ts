// A dataset is made: its text is stored first, so that a row never tells of text that is not there.
import type { Dataset } from '@mistudio/contract'
import { datasets } from '../../db/schema.ts'
import { newId } from '../../ids.ts'
import { changed } from '../changes.ts'
import type { Services } from '../services.ts'
import { findDataset } from './find.ts'
import { removeText, storeText } from './uploads.ts'

export async function createDataset(
  services: Services,
  options: {
    source: AsyncIterable<Uint8Array>
    fileName: string
    origin: Dataset['source']
    name?: string
    textField: string
    skipBadLines: boolean
  },
): Promise<Dataset> {
  const { storage, log, db } = services
  const { fileName, origin, name = fileName.slice(0, 200), textField } = options
  const id = newId('dataset')
  const stored = await storeText({ ...options, storage, datasetId: id })
  const { format, path, hasFields, sizeBytes, documents, badLines } = stored
  try {
    await log.write(async tx => {
      await tx.insert(datasets).values({
        id,
        name,
        source: origin,
        format,
        status: 'ready',
        path,
        size_bytes: sizeBytes,
        documents,
        bad_lines: badLines,
        text_field: hasFields ? textField : null,
      })
      return [changed(`dataset/${id}`, 'created')]
    })
  } catch (error) {
    await removeText({ storage, datasetId: id })
    throw error
  }
  return findDataset(db, id)
}

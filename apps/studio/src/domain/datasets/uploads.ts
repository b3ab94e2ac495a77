// Text on its way into the data folder: judged while it streams, in place only when it is whole and good.
import { randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readText, sourceOf } from '@mistudio/corpus'
import { InputError } from '@mistudio/files'
import { folders, type Storage } from '../../storage.ts'

export type StoredText = {
  /** The source's name. */
  format: string
  hasFields: boolean
  /** Relative to the data folder. */
  path: string
  sizeBytes: number
  documents: number
  badLines: number
}

const folderOf = (storage: Storage) => join(storage.dataDir, 'uploads')

/** Uploads that a killed server left. */
export async function clearUploads(storage: Storage): Promise<void> {
  await rm(folderOf(storage), { recursive: true, force: true })
}

/**
 * Stores the text of a dataset. Whatever goes wrong, the source's own end included, nothing is left behind.
 * @param options.fileName what the text is called where it comes from: its extension is its format
 * @throws InputError naming file, line and field of what is no text
 */
export async function storeText(options: {
  storage: Storage
  datasetId: string
  source: AsyncIterable<Uint8Array>
  fileName: string
  textField: string
  skipBadLines: boolean
}): Promise<StoredText> {
  const { storage, datasetId, source, fileName, textField, skipBadLines } = options
  const { name: format, extensions, hasFields } = sourceOf(fileName)
  const relative = `${folders.dataset(datasetId)}/text${extensions[0]}`
  const temporary = join(folderOf(storage), randomUUID())
  const path = storage.resolve(relative)
  await mkdir(dirname(temporary), { recursive: true })
  try {
    const handle = await open(temporary, 'wx')
    let sizeBytes = 0
    let documents = 0
    let badLines = 0
    async function* stored() {
      for await (const chunk of source) {
        sizeBytes += chunk.length
        await handle.writeFile(chunk)
        yield chunk
      }
    }
    try {
      const text = {
        file: fileName,
        source: stored(),
        textField,
        skipBadLines,
        onBadLine: () => void badLines++,
      }
      for await (const document of readText(text)) {
        if (!hasFields) checkPlain(document.text, fileName)
        if (document.text.trim() !== '') documents++
      }
      if (documents === 0) {
        const found = badLines > 0 ? `${badLines} lines that cannot be used` : `${sizeBytes} bytes`
        throw new InputError({
          message: 'the file holds no text',
          file: fileName,
          found,
          expected: 'a document',
        })
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await mkdir(dirname(path), { recursive: true })
    await rename(temporary, path)
    return { format, hasFields, path: relative, sizeBytes, documents, badLines }
  } catch (error) {
    await rm(temporary, { force: true })
    await removeText({ storage, datasetId })
    throw roomError(error, fileName)
  }
}

export async function removeText(options: { storage: Storage; datasetId: string }): Promise<void> {
  const { storage, datasetId } = options
  await rm(storage.resolve(folders.dataset(datasetId)), { recursive: true, force: true })
}

/** NUL is good UTF-8, but what has it is no text: UTF-16, an archive, an image. */
function checkPlain(text: string, file: string): void {
  const at = text.indexOf('\0')
  if (at < 0) return
  const line = text.slice(0, at).split('\n').length
  throw new InputError({
    message: 'this is no text',
    file,
    line,
    found: 'a NUL character',
    expected: 'UTF-8 text',
  })
}

function roomError(error: unknown, file: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  return new InputError({
    message: 'the disk is full',
    file,
    expected: 'room for the file in the data folder',
  })
}

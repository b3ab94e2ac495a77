// Reads extraction.json as untrusted: what readers rely on is checked once, with file and field in the message.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError, isObject } from '@mistudio/files'
import { extractionFormat, extractionVersion } from './write_extraction.ts'

/** What a reader needs of extraction.json; the rest is in `record`. */
export type ExtractionInfo = {
  hookPoint: string
  features: number
  featuresAlive: number
  tokens: number
  split: string
  modelName: string
  featuresInHeap: number
  heapExamplesCount: number
  /** The whole file. */
  record: Record<string, unknown>
}

const largestFileBytes = 1 << 20

/** @throws InputError for a folder that is not an extraction, naming file, field, found and expected */
export function readExtractionInfo({ dir }: { dir: string }): ExtractionInfo {
  const file = join(dir, 'extraction.json')
  const bytes = statSync(file, { throwIfNoEntry: false })?.size
  if (bytes === undefined || bytes > largestFileBytes) {
    throw new InputError({
      message: 'this folder holds no extraction',
      file,
      found: bytes === undefined ? 'no such file' : `${bytes} bytes`,
      expected: 'the extraction.json of `mistudio feature extract`',
    })
  }
  const record = parse(file)
  const wrong = (field: string, expected: string) =>
    new InputError({
      message: 'extraction.json cannot be used',
      file,
      field,
      found: JSON.stringify(record[field]) ?? 'absent',
      expected,
    })
  const count = (field: string) => {
    const value = record[field]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    throw wrong(field, 'a whole number of at least 0')
  }
  const text = (field: string) => {
    const value = record[field]
    if (typeof value === 'string') return value
    throw wrong(field, 'a text')
  }
  if (record.format !== extractionFormat) throw wrong('format', JSON.stringify(extractionFormat))
  if (record.format_version !== extractionVersion) throw wrong('format_version', String(extractionVersion))
  const model = isObject(record.model) ? record.model.name : undefined
  if (typeof model !== 'string') throw wrong('model', 'an object with a name')
  return {
    hookPoint: text('hook_point'),
    features: count('features'),
    featuresAlive: count('features_alive'),
    tokens: count('tokens'),
    split: text('split'),
    modelName: model,
    featuresInHeap: count('features_in_heap'),
    heapExamplesCount: count('heap_examples_count'),
    record,
  }
}

function parse(file: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new InputError({
      message: 'extraction.json is not JSON',
      file,
      found: String(error),
      expected: 'JSON',
    })
  }
  if (isObject(value)) return value
  throw new InputError({ message: 'extraction.json is not an object', file, expected: 'a JSON object' })
}

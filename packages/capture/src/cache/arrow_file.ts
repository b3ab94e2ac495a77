// An Arrow IPC stream file read by position: its messages are walked once on opening, then only the bytes of the
// requested rows are read. A batch may be gigabytes (a thousand contexts), so none is ever held whole, which
// is why we wrote our own reader (docs/adr/0007). The file is untrusted: every offset and length is checked against
// the message, and the message against the file.
import { closeSync, fstatSync } from 'node:fs'
import { InputError, openRegularFile, readExactly } from '@mistudio/files'
import { type ArrowField, type ArrowMessage, decodeMessage } from './arrow_metadata.ts'

const maxMetadataBytes = 64 * 1024 * 1024
const maxMessages = 1_000_000

/** A list of numbers per row, or a list of lists. */
export type ArrowColumn = {
  name: string
  /** The lists from the outside in, then the numbers. */
  layers: { type: ArrowField['type']; node: number; buffer: number }[]
}

export type ArrowBatch = {
  rows: number
  nodes: { length: number; nulls: number }[]
  /** `offset` is from the start of the file. */
  buffers: { offset: number; length: number }[]
}

export type ArrowFile = {
  path: string
  columns: ArrowColumn[]
  batches: ArrowBatch[]
  /** Fills `bytes` from byte `from` of a buffer. @throws InputError beyond its end */
  read(options: { batch: ArrowBatch; buffer: number; from: number; bytes: Uint8Array }): void
  refuse(field: string, found: string, expected: string): InputError
  close(): void
}

/** @throws InputError naming the file */
export function openArrowStream(path: string): ArrowFile {
  const file = openRegularFile(path)
  try {
    const { columns, batches } = walk(file, path)
    return {
      path,
      columns,
      batches,
      read({ batch, buffer, from, bytes }) {
        const { offset, length } = batch.buffers[buffer]
        if (!(from >= 0 && from + bytes.byteLength <= length)) {
          throw refusal(path, 'buffer', `bytes ${from} to ${from + bytes.byteLength}`, `within ${length}`)
        }
        readExactly({ file, path, bytes, position: offset + from })
      },
      refuse: (field, found, expected) => refusal(path, field, found, expected),
      close: () => closeSync(file),
    }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

const refusal = (path: string, field: string, found: string, expected: string) =>
  new InputError({ message: 'the Arrow file cannot be used', file: path, field, found, expected })

function walk(file: number, path: string): { columns: ArrowColumn[]; batches: ArrowBatch[] } {
  const size = fstatSync(file).size
  const batches: ArrowBatch[] = []
  let columns: { columns: ArrowColumn[]; nodes: number; buffers: number } | undefined
  let at = 0
  for (let messages = 0; at < size; messages++) {
    if (messages > maxMessages) throw refusal(path, 'messages', `more than ${maxMessages}`, 'fewer')
    const head = new Uint8Array(8)
    readExactly({ file, path, bytes: head, position: at })
    const view = new DataView(head.buffer)
    // A continuation mark, then the length of the metadata; 0 ends the stream.
    if (view.getUint32(0, true) !== 0xffff_ffff) {
      throw refusal(
        path,
        `byte ${at}`,
        'no continuation mark',
        'an Arrow IPC stream, as `datasets` writes it',
      )
    }
    const length = view.getUint32(4, true)
    if (length === 0) break
    const left = size - at - 8
    if (length > Math.min(left, maxMetadataBytes)) {
      throw refusal(path, 'metadata length', String(length), `at most ${Math.min(left, maxMetadataBytes)}`)
    }
    const bytes = new Uint8Array(length)
    readExactly({ file, path, bytes, position: at + 8 })
    const message = decoded(bytes, path, at)
    const body = at + 8 + length
    if (message.bodyLength > size - body) {
      throw refusal(path, 'body length', String(message.bodyLength), `at most ${size - body}`)
    }
    switch (message.kind) {
      case 'schema':
        if (columns !== undefined) throw refusal(path, 'schema', 'a second one', 'one')
        columns = layout(message.fields)
        break
      case 'batch':
        if (columns === undefined) throw refusal(path, 'schema', 'nothing before the first batch', 'a schema')
        batches.push(checkedBatch({ message, body, columns, path }))
        break
      case 'other':
        throw refusal(path, 'message', 'a dictionary or something unknown', 'a schema and batches of rows')
    }
    at = body + message.bodyLength
  }
  if (columns === undefined) throw refusal(path, 'schema', 'nothing', 'a schema')
  return { columns: columns.columns, batches }
}

function decoded(bytes: Uint8Array, path: string, at: number): ArrowMessage {
  try {
    return decodeMessage(bytes)
  } catch (error) {
    throw refusal(
      path,
      `message at byte ${at}`,
      error instanceof Error ? error.message : String(error),
      'a message',
    )
  }
}

/** Numbers nodes and buffers in batch order: depth first. */
function layout(fields: readonly ArrowField[]): { columns: ArrowColumn[]; nodes: number; buffers: number } {
  const columns: ArrowColumn[] = []
  let [nodes, buffers] = [0, 0]
  const walkField = (field: ArrowField): ArrowColumn['layers'] => {
    const own = { type: field.type, node: nodes++, buffer: buffers }
    buffers += bufferCount(field.type)
    const inner = field.children.map(walkField)
    return [own, ...(inner.length === 1 ? inner[0] : [])]
  }
  for (const field of fields) columns.push({ name: field.name, layers: walkField(field) })
  return { columns, nodes, buffers }
}

function bufferCount(type: ArrowField['type']): number {
  switch (type.kind) {
    case 'float':
    case 'integer':
    case 'list':
      return 2
    case 'fixed_list':
      return 1
    case 'other':
      return type.buffers
  }
}

function checkedBatch(options: {
  message: Extract<ArrowMessage, { kind: 'batch' }>
  body: number
  columns: { nodes: number; buffers: number }
  path: string
}): ArrowBatch {
  const { message, body, columns, path } = options
  const { rows, nodes, buffers, bodyLength } = message
  if (nodes.length !== columns.nodes || buffers.length !== columns.buffers) {
    const found = `${nodes.length} nodes, ${buffers.length} buffers`
    throw refusal(
      path,
      'batch',
      found,
      `${columns.nodes} nodes, ${columns.buffers} buffers, as the schema has`,
    )
  }
  if (!(rows >= 0)) throw refusal(path, 'rows', String(rows), 'a count')
  for (const { offset, length } of buffers) {
    if (offset >= 0 && length >= 0 && offset + length <= bodyLength) continue
    throw refusal(path, 'buffer', `${length} bytes at ${offset}`, `within a body of ${bodyLength}`)
  }
  return { rows, nodes, buffers: buffers.map(({ offset, length }) => ({ offset: body + offset, length })) }
}

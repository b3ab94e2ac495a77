// The metadata of Arrow IPC messages: FlatBuffers tables of Schema.fbs and Message.fbs
// (github.com/apache/arrow/tree/main/format), only what reading columns of numbers needs. The bytes are untrusted: a
// DataView rejects reads out of range, lengths of vectors are bounded by the bytes, and the number of fields is capped,
// since many pointers may lead to the same table.

/** What a column holds. `other`: a type we do not read, with its number of buffers so that it can be skipped. */
type ArrowType =
  | { kind: 'float'; bytes: 2 | 4 | 8 }
  | { kind: 'integer'; bytes: 1 | 2 | 4 | 8; signed: boolean }
  | { kind: 'list'; offsetBytes: 4 | 8 }
  | { kind: 'fixed_list'; length: number }
  | { kind: 'other'; buffers: number }

export type ArrowField = { name: string; type: ArrowType; children: ArrowField[] }

/** `offset` is from the start of the message's body. */
type ArrowBuffer = { offset: number; length: number }

export type ArrowMessage = { bodyLength: number } & (
  | { kind: 'schema'; fields: ArrowField[] }
  | { kind: 'batch'; rows: number; nodes: { length: number; nulls: number }[]; buffers: ArrowBuffer[] }
  | { kind: 'other' }
)

const maxFields = 10_000
const maxDepth = 32

/** @throws RangeError or Error for bytes that are not a message */
export function decodeMessage(bytes: Uint8Array): ArrowMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const message = tableAt(view, view.getUint32(0, true))
  const bodyLength = message.int64(3)
  if (!(bodyLength >= 0)) throw new RangeError(`a body of ${bodyLength} bytes`)
  const header = message.table(2)
  switch (message.uint8(1)) {
    case 1: {
      if (header === undefined) throw new Error('a schema without fields')
      // 0: little-endian.
      if (header.int16(0) !== 0) throw new Error('big-endian numbers')
      const left = { fields: maxFields }
      return { kind: 'schema', bodyLength, fields: header.tables(1).map(table => fieldOf(table, left, 0)) }
    }
    case 3: {
      if (header === undefined) throw new Error('a batch without a header')
      if (header.table(3) !== undefined) throw new Error('compressed buffers')
      const pairs = (field: number) => {
        const { at, length } = header.vector(field, 16)
        return Array.from({ length }, (_, i) => [int64(view, at + i * 16), int64(view, at + i * 16 + 8)])
      }
      return {
        kind: 'batch',
        bodyLength,
        rows: header.int64(0),
        nodes: pairs(1).map(([length, nulls]) => ({ length, nulls })),
        buffers: pairs(2).map(([offset, length]) => ({ offset, length })),
      }
    }
    default:
      return { kind: 'other', bodyLength }
  }
}

function fieldOf(table: Table, left: { fields: number }, depth: number): ArrowField {
  if (left.fields-- <= 0 || depth > maxDepth) throw new RangeError('too many fields')
  if (table.table(4) !== undefined) throw new Error('a column with a dictionary')
  const children = table.tables(5).map(child => fieldOf(child, left, depth + 1))
  return { name: table.string(0), type: typeOf(table), children }
}

/** By the tags of the union Type of Schema.fbs. */
function typeOf(field: Table): ArrowType {
  const type = field.table(3)
  const tag = field.uint8(2)
  switch (tag) {
    case 1:
      return { kind: 'other', buffers: 0 }
    case 2: {
      const bytes = (type?.int32(0) ?? 0) / 8
      if (bytes !== 1 && bytes !== 2 && bytes !== 4 && bytes !== 8)
        throw new Error(`integers of ${bytes} bytes`)
      return { kind: 'integer', bytes, signed: type?.uint8(1) === 1 }
    }
    case 3: {
      const bytes = ([2, 4, 8] as const)[type?.int16(0) ?? 0]
      if (bytes === undefined) throw new Error('floats of unknown precision')
      return { kind: 'float', bytes }
    }
    // Binary, Utf8, LargeBinary, LargeUtf8: validity, offsets, bytes.
    case 4:
    case 5:
    case 19:
    case 20:
      return { kind: 'other', buffers: 3 }
    // Bool, Decimal, Date, Time, Timestamp, Interval, FixedSizeBinary, Duration: validity and values.
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
    case 15:
    case 18:
      return { kind: 'other', buffers: 2 }
    case 12:
      return { kind: 'list', offsetBytes: 4 }
    case 21:
      return { kind: 'list', offsetBytes: 8 }
    case 16:
      return { kind: 'fixed_list', length: type?.int32(0) ?? 0 }
    // Struct: validity.
    case 13:
      return { kind: 'other', buffers: 1 }
    default:
      throw new Error(`a column of type ${tag}`)
  }
}

/** Fields by their number in the schema's table; absent ones have the default 0. */
type Table = {
  uint8(field: number): number
  int16(field: number): number
  int32(field: number): number
  int64(field: number): number
  table(field: number): Table | undefined
  tables(field: number): Table[]
  vector(field: number, elementBytes: number): { at: number; length: number }
  string(field: number): string
}

function tableAt(view: DataView, at: number): Table {
  const vtable = at - view.getInt32(at, true)
  const size = view.getUint16(vtable, true)
  /** Where a field is; undefined if absent. */
  const place = (field: number): number | undefined => {
    const entry = 4 + 2 * field
    const offset = entry + 2 <= size ? view.getUint16(vtable + entry, true) : 0
    return offset === 0 ? undefined : at + offset
  }
  const follow = (field: number): number | undefined => {
    const from = place(field)
    return from === undefined ? undefined : from + view.getUint32(from, true)
  }
  const read = (field: number, get: (from: number) => number): number => {
    const from = place(field)
    return from === undefined ? 0 : get(from)
  }
  const vector = (field: number, elementBytes: number) => {
    const from = follow(field)
    if (from === undefined) return { at: 0, length: 0 }
    const length = view.getUint32(from, true)
    if (length * elementBytes > view.byteLength - from - 4) throw new RangeError(`a list of ${length}`)
    return { at: from + 4, length }
  }
  return {
    uint8: (field: number) => read(field, from => view.getUint8(from)),
    int16: (field: number) => read(field, from => view.getInt16(from, true)),
    int32: (field: number) => read(field, from => view.getInt32(from, true)),
    int64: (field: number) => read(field, from => int64(view, from)),
    table: (field: number): Table | undefined => {
      const from = follow(field)
      return from === undefined ? undefined : tableAt(view, from)
    },
    tables(field: number): Table[] {
      const { at: first, length } = vector(field, 4)
      if (length > maxFields) throw new RangeError(`${length} fields`)
      return Array.from({ length }, (_, i) => {
        const from = first + i * 4
        return tableAt(view, from + view.getUint32(from, true))
      })
    },
    vector,
    string(field: number): string {
      const { at: from, length } = vector(field, 1)
      return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + from, length).slice())
    },
  }
}

/** @throws RangeError if a number cannot hold it */
function int64(view: DataView, at: number): number {
  const value = Number(view.getBigInt64(at, true))
  if (!Number.isSafeInteger(value)) throw new RangeError(`the number ${value}`)
  return value
}

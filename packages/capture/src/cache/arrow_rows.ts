// Rows of an Arrow column that all have one shape, [length] or [length, width], read one at a time: list offsets are
// checked for the row being read, so no part of a batch is held.
import { f16ToF32 } from '@mistudio/files'
import type { ArrowBatch, ArrowColumn, ArrowFile } from './arrow_file.ts'

/**
 * The numbers of one row.
 * @param options.shape what every row must have
 * @throws InputError naming the column and the row for other shapes, missing values and unusable number types
 */
export function readRow(options: {
  file: ArrowFile
  column: ArrowColumn
  batch: ArrowBatch
  row: number
  shape: readonly number[]
}): Float32Array | Int32Array {
  const { file, column, batch, row, shape } = options
  const lists = column.layers.slice(0, -1)
  const leaf = column.layers[column.layers.length - 1]
  const refuse = (found: string, expected: string) =>
    file.refuse(column.name, `${found} (row ${row})`, expected)
  if (lists.length !== shape.length) throw refuse(`lists ${lists.length} deep`, `rows of [${shape}]`)
  for (const { node } of column.layers) {
    if (batch.nodes[node].nulls !== 0) throw refuse(`${batch.nodes[node].nulls} missing values`, 'none')
  }
  // [first, first + count) are the elements of the row at each depth.
  let first = row
  let count = 1
  for (const [depth, { type, buffer }] of lists.entries()) {
    const size = shape[depth]
    if (type.kind === 'fixed_list') {
      if (type.length !== size) throw refuse(`lists of ${type.length}`, `of ${size}`)
      first *= size
    } else if (type.kind === 'list') {
      const ends = offsets(file, batch, buffer + 1, type.offsetBytes, first, count + 1)
      for (let i = 0; i <= count; i++) {
        if (ends[i] !== ends[0] + i * size || ends[0] < 0)
          throw refuse(`a list of ${ends[i] - ends[i - 1]}`, `${size}`)
      }
      first = ends[0]
    } else throw refuse(type.kind, 'a list')
    count *= size
  }
  const read = (bytes: number) => {
    const data = new Uint8Array(count * bytes)
    file.read({ batch, buffer: leaf.buffer + 1, from: first * bytes, bytes: data })
    return data.buffer
  }
  const { type } = leaf
  if (type.kind === 'integer' && type.bytes === 4) return new Int32Array(read(4))
  if (type.kind === 'integer' && type.bytes === 8) {
    return Int32Array.from(new BigInt64Array(read(8)), Number)
  }
  if (type.kind === 'float') {
    switch (type.bytes) {
      case 2:
        return f16ToF32(new Uint16Array(read(2)))
      case 4:
        return new Float32Array(read(4))
      case 8:
        return Float32Array.from(new Float64Array(read(8)))
    }
  }
  throw refuse(type.kind, 'float16, float32, float64 or integers of 4 or 8 bytes')
}

function offsets(
  file: ArrowFile,
  batch: ArrowBatch,
  buffer: number,
  bytes: 4 | 8,
  first: number,
  count: number,
): number[] {
  const data = new Uint8Array(count * bytes)
  file.read({ batch, buffer, from: first * bytes, bytes: data })
  return bytes === 4
    ? Array.from(new Int32Array(data.buffer))
    : Array.from(new BigInt64Array(data.buffer), Number)
}

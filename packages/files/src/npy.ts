// NumPy's .npy, version 1 to 3 (numpy/lib/format.py): little-endian, C order, numeric types only. No pickles.
import { closeSync, fstatSync, openSync } from 'node:fs'
import { replaceFile } from './atomic.ts'
import { bytesPerElement, type DType, type Tensor, viewBytes } from './dtype.ts'
import { InputError } from './errors.ts'
import { openRegularFile, readExactly, writeAll } from './positional.ts'

const dtypes: Record<string, DType> = {
  '<f8': 'F64',
  '<f4': 'F32',
  '<f2': 'F16',
  '<i8': 'I64',
  '<i4': 'I32',
  '<i2': 'I16',
  '|i1': 'I8',
  '<u8': 'U64',
  '<u4': 'U32',
  '<u2': 'U16',
  '|u1': 'U8',
  '|b1': 'BOOL',
}
const magic = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59)
const headerLimitBytes = 65_536

/** @throws InputError for another format, order, type or length. */
export function readNpy(path: string): Tensor {
  const file = openRegularFile(path)
  const fail = (message: string, found?: string, expected?: string): never => {
    throw new InputError({ message, file: path, found, expected })
  }
  const take = (position: number, length: number) => {
    const bytes = new Uint8Array(length)
    readExactly({ file, path, bytes, position })
    return bytes
  }
  try {
    const fileBytes = fstatSync(file).size
    if (fileBytes < 12) fail('too short for .npy', `${fileBytes} bytes`)
    const start = take(0, 12)
    if (!magic.every((byte, i) => start[i] === byte)) fail('not a .npy file')
    if (start[6] < 1 || start[6] > 3) fail('unknown .npy version', `${start[6]}`, '1, 2 or 3')
    const view = new DataView(start.buffer)
    const wide = start[6] >= 2
    const length = wide ? view.getUint32(8, true) : view.getUint16(8, true)
    const begin = wide ? 12 : 10
    const most = Math.min(headerLimitBytes, fileBytes - begin)
    if (length > most) fail('the .npy header is too long', `${length} bytes`, `at most ${most}`)
    const header = Buffer.from(take(begin, length)).toString('latin1')
    const descr = /'descr':\s*'([^']+)'/.exec(header)?.[1]
    const shapeText = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1]
    if (descr === undefined || !Object.hasOwn(dtypes, descr) || shapeText === undefined) {
      return fail('unknown .npy type', header.trim(), Object.keys(dtypes).join(', '))
    }
    const dtype = dtypes[descr]
    if (!/'fortran_order':\s*False/.test(header)) {
      fail('only C order is read', header.trim(), "'fortran_order': False")
    }
    const sizes = shapeText.split(',').map(part => part.trim())
    // A tuple may end with a comma; a one-element tuple does.
    if (sizes.at(-1) === '') sizes.pop()
    const shape = sizes.map(size => (/^\d{1,16}$/.test(size) ? Number(size) : Number.NaN))
    if (!shape.every(n => Number.isSafeInteger(n))) fail('bad .npy shape', shapeText)
    const bytes = shape.reduce((product, n) => product * n, bytesPerElement[dtype])
    const left = fileBytes - begin - length
    if (bytes !== left)
      fail('the length of the .npy data does not match its shape', `${left} bytes`, `${bytes}`)
    return { dtype, shape, data: viewBytes(dtype, take(begin + length, bytes)) }
  } finally {
    closeSync(file)
  }
}

/** Writes version 1.0, atomically. @throws InputError for BF16, and for bytes that disagree with the shape. */
export function writeNpy(path: string, { dtype, shape, data }: Tensor): void {
  const descr = Object.keys(dtypes).find(key => dtypes[key] === dtype)
  if (descr === undefined) {
    throw new InputError({ message: '.npy has no such type', file: path, found: dtype })
  }
  const expected = shape.reduce((product, n) => product * n, bytesPerElement[dtype])
  if (data.byteLength !== expected) {
    const found = `${data.byteLength} bytes`
    throw new InputError({
      message: 'a tensor cannot be written',
      file: path,
      found,
      expected: `${expected}`,
    })
  }
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const body = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`
  // The data begin at a multiple of 64: 10 bytes before the header, a newline at its end.
  const header = body.padEnd(Math.ceil((body.length + 11) / 64) * 64 - 11) + '\n'
  replaceFile({
    path,
    write: temporary => {
      const file = openSync(temporary, 'w')
      try {
        writeAll(file, Uint8Array.of(...magic, 1, 0, header.length & 255, header.length >> 8))
        writeAll(file, Buffer.from(header, 'latin1'))
        writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      } finally {
        closeSync(file)
      }
    },
  })
}

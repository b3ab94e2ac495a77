// NumPy's .npy, version 1 to 3 (numpy/lib/format.py): little-endian, C order, numeric types only. No pickles.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { writeFileAtomic } from './atomic.ts'
import { bytesPerElement, type DType, type Tensor, viewBytes } from './dtype.ts'
import { InputError } from './errors.ts'

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
  const file = openSync(path, 'r')
  const fail = (message: string, found?: string, expected?: string): never => {
    throw new InputError({ message, file: path, found, expected })
  }
  const take = (position: number, length: number) => {
    const bytes = new Uint8Array(length)
    if (readSync(file, bytes, 0, length, position) !== length) fail('the .npy file ended early')
    return bytes
  }
  try {
    const fileBytes = fstatSync(file).size
    if (fileBytes < 12) fail('too short for .npy', `${fileBytes} bytes`)
    const start = take(0, 12)
    if (!magic.every((byte, i) => start[i] === byte)) fail('not a .npy file')
    const view = new DataView(start.buffer)
    const wide = start[6] >= 2
    const length = wide ? view.getUint32(8, true) : view.getUint16(8, true)
    const begin = wide ? 12 : 10
    if (length > headerLimitBytes || begin + length > fileBytes)
      fail('the .npy header is too long', `${length}`)
    const header = new TextDecoder('latin1').decode(take(begin, length))
    const descr = /'descr':\s*'([^']+)'/.exec(header)?.[1]
    const shapeText = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1]
    if (!/'fortran_order':\s*False/.test(header))
      fail('only C order is read', header.trim(), "'fortran_order': False")
    const dtype = descr === undefined ? undefined : dtypes[descr]
    if (dtype === undefined || shapeText === undefined)
      return fail('unknown .npy type', header.trim(), Object.keys(dtypes).join(', '))
    const shape = shapeText
      .split(',')
      .map(part => part.trim())
      .filter(part => part !== '')
      .map(Number)
    if (!shape.every(n => Number.isSafeInteger(n) && n >= 0)) fail('bad .npy shape', shapeText)
    const bytes = shape.reduce((product, n) => product * n, bytesPerElement[dtype])
    const left = fileBytes - begin - length
    if (bytes !== left) fail('the .npy data has another length than its shape', `${left} bytes`, `${bytes}`)
    return { dtype, shape, data: viewBytes(dtype, take(begin + length, bytes)) }
  } finally {
    closeSync(file)
  }
}

/** Writes version 1.0. */
export function writeNpy(path: string, { dtype, shape, data }: Tensor): void {
  const descr = Object.entries(dtypes).find(([, name]) => name === dtype)?.[0]
  if (descr === undefined)
    throw new InputError({ message: '.npy has no such type', file: path, found: dtype })
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const body = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`
  const header = body.padEnd(Math.ceil((body.length + 11) / 64) * 64 - 11) + '\n'
  const prefix = Buffer.from([...magic, 1, 0, header.length & 255, header.length >> 8])
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  writeFileAtomic(path, Buffer.concat([prefix, Buffer.from(header, 'latin1'), bytes]))
}

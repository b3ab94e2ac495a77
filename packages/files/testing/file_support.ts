// What the tests of files share: a folder that goes away, tensors of any type, and errors that must be InputErrors.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach } from 'vitest'
import { bytesPerElement, type DType, type Tensor, viewBytes } from '../src/dtype.ts'
import { InputError } from '../src/errors.ts'

/** Registers a fresh folder for every test of the file; the function names things in it. */
export function useFolder(): (name: string) => string {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mistudio-files-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  return name => join(folder, name)
}

export const dtypes = Object.keys(bytesPerElement) as DType[]

/** Random bytes as a tensor of up to three sizes, zero among them. */
export function anyTensor(of: readonly DType[] = dtypes): fc.Arbitrary<Tensor> {
  const shape = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 })
  return fc.tuple(fc.constantFrom(...of), shape).chain(([dtype, sizes]) => {
    const length = sizes.reduce((product, n) => product * n, bytesPerElement[dtype])
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map(bytes => ({ dtype, shape: sizes, data: viewBytes(dtype, bytes.slice()) }))
  })
}

export const bytesOf = ({ data }: Tensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** The InputError that `action` must end with; any other error passes through. */
export async function inputError(action: () => unknown): Promise<InputError> {
  try {
    await action()
  } catch (error) {
    if (error instanceof InputError) return error
    throw error
  }
  throw new Error('nothing was thrown where an InputError must be')
}

/** Runs `action` and gives the largest length that a byte array was made of in it. */
export function largestAllocation(action: () => void): number {
  const real = globalThis.Uint8Array
  let largest = 0
  globalThis.Uint8Array = new Proxy(real, {
    construct(target, values: unknown[], newTarget) {
      if (typeof values[0] === 'number') largest = Math.max(largest, values[0])
      return Reflect.construct(target, values, newTarget) as object
    },
  })
  try {
    action()
  } finally {
    globalThis.Uint8Array = real
  }
  return largest
}

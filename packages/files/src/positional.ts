// Whole reads and writes at a position: one system call may transfer fewer bytes than requested.
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { InputError } from './errors.ts'

/** Opens for reading. @throws InputError if the file does not exist, is not readable, or is a folder */
export function openRegularFile(path: string): number {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    if (fstatSync(file).isFile()) return file
  } catch {}
  if (file !== undefined) closeSync(file)
  throw new InputError({ message: 'the file cannot be opened', file: path, expected: 'a readable file' })
}

/** Fills `bytes` from `position`. @throws InputError naming `path` if the file ends before */
export function readExactly(options: {
  file: number
  path: string
  bytes: Uint8Array
  position: number
}): void {
  const { file, path, bytes, position } = options
  let done = 0
  while (done < bytes.length) {
    // One read returns at most 2 GiB.
    const n = readSync(file, bytes, done, Math.min(bytes.length - done, 1 << 30), position + done)
    if (n === 0) {
      throw new InputError({
        message: 'the file ended early',
        file: path,
        found: `${position + done} bytes`,
        expected: `at least ${position + bytes.length}`,
      })
    }
    done += n
  }
}

/** Appends all of `bytes` at the file's current position. */
export function writeAll(file: number, bytes: Uint8Array): void {
  let done = 0
  while (done < bytes.length) done += writeSync(file, bytes, done, Math.min(bytes.length - done, 1 << 26))
}

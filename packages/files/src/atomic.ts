// Files and directories that appear whole or not at all: written next to their destination, flushed, renamed once.
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError } from './errors.ts'

/**
 * Replaces `path` with the file that `write` makes at the given temporary path. If `write` throws, for example on a
 * full disk, the old file is intact and nothing is left next to it.
 */
export function replaceFile(options: { path: string; write(temporary: string): void }): void {
  const { path, write } = options
  const temporary = `${path}.tmp-${process.pid}`
  try {
    write(temporary)
    flushPath(temporary)
    renameSync(temporary, path)
  } catch (error) {
    clear(temporary)
    throw unwritable(error, path)
  }
  flushFolder(dirname(path))
}

/** Writes a file through a temporary one in the same folder. */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  replaceFile({ path, write: temporary => writeFileSync(temporary, data) })
}

const nextOf = (path: string) => join(dirname(path), `.${basename(path)}.next`)
const oldOf = (path: string) => join(dirname(path), `.${basename(path)}.old`)

/**
 * Builds a directory next to `path` and moves it there. An existing one stays intact until the new one is
 * complete on disk; `recoverDirectory` repairs a crash between the two renames.
 * @throws InputError if the destination cannot be written or has no room; otherwise what `write` throws, after cleanup
 */
export async function writeDirectoryAtomic(options: {
  path: string
  write(folder: string): Promise<void> | void
}): Promise<void> {
  // Resolved, so that '.' or a trailing slash has a name and a parent.
  const path = resolve(options.path)
  recoverDirectory(path)
  const next = nextOf(path)
  const old = oldOf(path)
  try {
    mkdirSync(dirname(path), { recursive: true })
    rmSync(next, { recursive: true, force: true })
    mkdirSync(next)
  } catch (error) {
    throw unwritable(error, path)
  }
  try {
    await options.write(next)
    flushTree(next)
    if (existsSync(path)) renameSync(path, old)
    renameSync(next, path)
  } catch (error) {
    clear(next)
    recoverDirectory(path)
    throw inPlace(cutShort(error, path), next, path)
  }
  flushFolder(dirname(path))
  rmSync(old, { recursive: true, force: true })
}

/** After a crash between the renames, restores the old directory; removes a replaced one that was left behind. */
export function recoverDirectory(path: string): void {
  const whole = resolve(path)
  const old = oldOf(whole)
  if (!existsSync(old)) return
  if (existsSync(whole)) rmSync(old, { recursive: true, force: true })
  else renameSync(old, whole)
}

/** Failing to remove leftovers must not hide the original error. */
function clear(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch {}
}

function flushTree(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (lstatSync(path).isDirectory()) flushTree(path)
    else if (lstatSync(path).isFile()) flushPath(path)
  }
  flushFolder(folder)
}

function flushPath(path: string): void {
  // Windows flushes only what is open for writing.
  const file = openSync(path, 'r+')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** A rename is on disk once its folder is. Windows cannot open folders, and some network drives cannot flush them. */
function flushFolder(folder: string): void {
  let file: number
  try {
    file = openSync(folder, 'r')
  } catch {
    return
  }
  try {
    fsyncSync(file)
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'EINVAL' && code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EISDIR') throw error
  } finally {
    closeSync(file)
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** Errors the user can fix by choosing another place become an InputError; others pass through. */
function unwritable(error: unknown, path: string): unknown {
  const code = codeOf(error)
  if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'EISDIR', 'ENOENT'].includes(code))
    return cutShort(error, path)
  return new InputError({
    message: 'cannot write here',
    file: path,
    found: code,
    expected: 'a writable place',
  })
}

/** Failures in the middle of a write. The system's own message names no file. */
const noRoom: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file is larger than the system allows',
}

function cutShort(error: unknown, path: string): unknown {
  const message = noRoom[codeOf(error)]
  if (message === undefined) return error
  return new InputError({
    message,
    file: path,
    found: (error as Error).message,
    expected: 'room for the file; what was there before is unchanged',
  })
}

/** A file in a folder being built is named by its final path. */
function inPlace(error: unknown, next: string, path: string): unknown {
  if (!(error instanceof InputError) || !error.details.file?.startsWith(next)) return error
  return new InputError({ ...error.details, file: path + error.details.file.slice(next.length) })
}

// Files and directories that appear whole or not at all: written beside their place, flushed, renamed once.
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
import { basename, dirname, join } from 'node:path'

/** Writes a file through a temporary one in the same folder. */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const temporary = `${path}.tmp-${process.pid}`
  try {
    writeFileSync(temporary, data, { flush: true })
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

const nextOf = (path: string) => join(dirname(path), `.${basename(path)}.next`)
const oldOf = (path: string) => join(dirname(path), `.${basename(path)}.old`)

/**
 * Builds a directory beside `path` and puts it in place. An existing one stays whole until the new one is
 * complete on disk; a crash between the two renames is mended by `recoverDirectory`.
 */
export async function writeDirectoryAtomic(options: {
  path: string
  write(folder: string): Promise<void> | void
}): Promise<void> {
  const { path, write } = options
  recoverDirectory(path)
  mkdirSync(dirname(path), { recursive: true })
  const next = nextOf(path)
  rmSync(next, { recursive: true, force: true })
  mkdirSync(next)
  try {
    await write(next)
    flush(next)
  } catch (error) {
    rmSync(next, { recursive: true, force: true })
    throw error
  }
  const old = oldOf(path)
  if (existsSync(path)) renameSync(path, old)
  renameSync(next, path)
  rmSync(old, { recursive: true, force: true })
}

/** After a crash between the renames the old directory is put back; leftovers are removed. */
export function recoverDirectory(path: string): void {
  const old = oldOf(path)
  if (!existsSync(old)) return
  if (existsSync(path)) rmSync(old, { recursive: true, force: true })
  else renameSync(old, path)
}

function flush(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (lstatSync(path).isDirectory()) {
      flush(path)
      continue
    }
    const file = openSync(path, 'r')
    fsyncSync(file)
    closeSync(file)
  }
}

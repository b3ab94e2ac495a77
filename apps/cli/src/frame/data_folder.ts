// Folders that a command writes into: found and tried before any work starts, so that an hour of training does
// not end in a folder that cannot be written.
import { closeSync, existsSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { InputError } from '@mistudio/files'

/** `--data-dir`, else MISTUDIO_DATA_DIR, else `data` in the current folder; absolute. */
export function dataFolder({
  option,
  env,
}: {
  option: string | undefined
  env: Record<string, string | undefined>
}): string {
  return resolve(option ?? (env.MISTUDIO_DATA_DIR || 'data'))
}

/** The data folder of a command that has `--data-dir`, tried. @throws InputError as `writableFolder` */
export function writableDataFolder({ option }: { option: string | undefined }): string {
  return writableFolder({
    path: dataFolder({ option, env: process.env }),
    field: option === undefined ? 'MISTUDIO_DATA_DIR' : '--data-dir',
  })
}

/**
 * Makes the folder where it is missing and writes a byte into it.
 * @param options.field the option that named it, for the message
 * @returns its absolute path
 * @throws InputError naming the folder and the operating system's reason
 */
export function writableFolder({ path, field }: { path: string; field: string }): string {
  const folder = resolve(path)
  const probe = join(folder, `.writable-${process.pid}`)
  try {
    makeFolder(folder)
    const file = openSync(probe, 'w')
    try {
      writeSync(file, '1')
    } finally {
      closeSync(file)
      rmSync(probe, { force: true })
    }
  } catch (error) {
    throw notWritable({ path: folder, field, error })
  }
  return folder
}

/**
 * Makes the folder of a file that will be written, and tries it.
 * @returns the file's absolute path
 * @throws InputError as writableFolder does, or when a folder lies at the path
 */
export function writableFile({ path, field }: { path: string; field: string }): string {
  const file = resolve(path)
  writableFolder({ path: dirname(file), field })
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    throw new InputError({
      message: 'cannot write here',
      file,
      field,
      found: 'a folder',
      expected: 'the path of a file',
    })
  }
  return file
}

/** Not `recursive: true`: Node 24 never returns from that where the parent refuses with ENOENT, as /proc does. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  mkdirSync(folder)
}

function notWritable({ path, field, error }: { path: string; field: string; error: unknown }): InputError {
  return new InputError({
    message: 'the folder is not writable',
    file: path,
    field,
    found: error instanceof Error ? error.message : String(error),
    expected: 'a folder that can be made and written',
  })
}

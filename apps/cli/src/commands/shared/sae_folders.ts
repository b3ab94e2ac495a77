// Folders of SAEs as a person names them: of one SAE, or of a training that holds several.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'

const holdsSae = (dir: string) => existsSync(join(dir, 'cfg.json'))

/** @returns folders of SAEs in the folder, sorted by name; none where there is no such folder */
function saesIn(dir: string): string[] {
  const names = statSync(dir, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(dir).sort() : []
  return names.filter(name => holdsSae(join(dir, name)))
}

/**
 * The SAE's own folder: the one given, or the only SAE of a training's folder.
 * @throws InputError that lists the SAEs where there are several
 */
export function saeFolder(dir: string): string {
  if (holdsSae(dir)) return dir
  const found = saesIn(dir)
  if (found.length === 1) return join(dir, found[0])
  throw new InputError({
    message: found.length === 0 ? 'there is no SAE here' : 'this folder holds several SAEs',
    file: dir,
    field: '--sae',
    found: found.length === 0 ? 'no cfg.json' : found.join(', '),
    expected: found.length === 0 ? 'a folder with cfg.json and sae_weights.safetensors' : 'the folder of one',
  })
}

/**
 * Folders of single SAEs: those given, and all SAEs of folders that hold several.
 * @throws InputError for a folder without any
 */
export function saeFolders(dirs: readonly string[]): string[] {
  return dirs.flatMap(dir => {
    if (holdsSae(dir)) return [dir]
    const found = saesIn(dir).map(name => join(dir, name))
    if (found.length > 0) return found
    throw new InputError({
      message: 'there is no SAE here',
      file: dir,
      field: '--sae',
      found: 'no cfg.json',
      expected: 'a folder with cfg.json and sae_weights.safetensors, or one that holds such folders',
    })
  })
}

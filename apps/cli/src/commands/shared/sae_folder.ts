// The folder of one SAE as a person names it: its own, or that of a training that holds no other.
import { relative } from 'node:path'
import { InputError } from '@mistudio/files'
import { saeFoldersIn } from '@mistudio/sae'

/**
 * The SAE's own folder: the one given, or the only SAE of a training's folder.
 * @throws InputError where there is none, and one that lists the SAEs where there are several
 */
export function saeFolder(dir: string): string {
  const found = saeFoldersIn(dir)
  if (found.length === 1) return found[0]
  throw new InputError({
    message: 'this folder holds several SAEs',
    file: dir,
    field: '--sae',
    found: found.map(path => relative(dir, path)).join(', '),
    expected: 'the folder of one',
  })
}

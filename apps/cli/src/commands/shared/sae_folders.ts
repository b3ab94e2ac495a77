// The folder of one SAE as a person names it: its own, or that of a training which holds no other.
import { basename } from 'node:path'
import { InputError } from '@mistudio/files'
import { saeFoldersIn } from '@mistudio/sae'

/**
 * The SAE's own folder, in any format: the one given, or the only SAE of a training's folder.
 * @throws InputError for a folder without any, or that lists the SAEs where there are several
 */
export function saeFolder(dir: string): string {
  const [folder, ...others] = saeFoldersIn(dir)
  if (others.length === 0) return folder
  throw new InputError({
    message: 'this folder holds several SAEs',
    file: dir,
    field: '--sae',
    found: [folder, ...others].map(path => basename(path)).join(', '),
    expected: 'the folder of one',
  })
}

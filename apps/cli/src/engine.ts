// What the jobs share: the engine's helpers, and the folder of one SAE.
import { InputError } from '@mistudio/files'
import { saeFoldersIn } from '@mistudio/sae'

export { withLanes } from '@mistudio/tensor'

/**
 * The SAE's own folder: the one given, or the only SAE of a training's folder.
 * @throws InputError that lists the SAEs where there are several
 */
export function saeFolder(dir: string): string {
  const found = saeFoldersIn(dir)
  if (found.length === 1) return found[0]
  throw new InputError({
    message: 'this folder holds several SAEs',
    file: dir,
    field: '--sae',
    found: found.map(path => path.slice(dir.length + 1)).join(', '),
    expected: 'the folder of one',
  })
}

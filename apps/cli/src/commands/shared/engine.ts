// What the jobs share: the engine's helpers, and the folder of one SAE.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/tensor'

export { checkStore, contextsPerCall } from '@mistudio/model'
export { withLanes } from '@mistudio/tensor'

/**
 * The SAE's own folder: the one given, or the only SAE of a training's folder.
 * @throws InputError that lists the SAEs where there are several
 */
export function saeFolder(dir: string): string {
  if (existsSync(join(dir, 'cfg.json'))) return dir
  const folders = statSync(dir, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(dir) : []
  const found = folders.filter(name => existsSync(join(dir, name, 'cfg.json')))
  if (found.length === 1) return join(dir, found[0])
  throw new InputError({
    message: found.length === 0 ? 'there is no SAE here' : 'this folder holds several SAEs',
    file: dir,
    field: '--sae',
    found: found.length === 0 ? 'no cfg.json' : found.join(', '),
    expected: found.length === 0 ? 'a folder with cfg.json and sae_weights.safetensors' : 'the folder of one',
  })
}

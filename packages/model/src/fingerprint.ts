// A short name for the contents of a model's folder, so that activations cached from one model are not mistaken
// for another's. Hashing gigabytes would take longer than opening the model, so for every weight file it uses the size
// and three samples: start (the header with all names and shapes), middle and end.
import { createHash } from 'node:crypto'
import { closeSync, fstatSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { openRegularFile, readExactly } from '@mistudio/files'
import { weightFiles } from './load.ts'

const stretchBytes = 1 << 16

/** SHA-256 in hex over config.json and the sizes and samples of the weight files. @throws InputError for missing files */
export function modelFingerprint(options: { dir: string }): string {
  const { dir } = options
  const hash = createHash('sha256').update(readFileSync(join(dir, 'config.json')))
  for (const path of weightFiles(dir)) {
    const file = openRegularFile(path)
    try {
      const { size } = fstatSync(file)
      hash.update(`\n${basename(path)} ${size}\n`)
      const bytes = new Uint8Array(Math.min(stretchBytes, size))
      for (const position of [0, Math.floor((size - bytes.length) / 2), size - bytes.length]) {
        readExactly({ file, path, bytes, position })
        hash.update(bytes)
      }
    } finally {
      closeSync(file)
    }
  }
  return hash.digest('hex')
}

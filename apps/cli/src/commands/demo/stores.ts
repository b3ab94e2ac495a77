// The demo's token stores: made once, and again where text, tokenizer or context length are others.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  checkTokenizer,
  openTokenStore,
  type TextTokenizer,
  type TokenStore,
  tokenizeFiles,
} from '@mistudio/corpus'
import { InputError } from '@mistudio/files'
import type { JobContext } from '../../frame/command.ts'
import { recipe } from './recipe.ts'
import { assets, checkStop } from './stage.ts'

/** The folder of the dataset's token store, made if there is none that fits. */
export async function storeOf(options: {
  name: string
  dir: string
  tokenizer: TextTokenizer
  context: JobContext
}): Promise<string> {
  const { name, dir, tokenizer, context } = options
  checkStop(context)
  const out = join(dir, 'datasets', name)
  const file = join(assets, 'datasets', `${name}.jsonl`)
  if (existsSync(out) && isUsable({ out, file, tokenizer })) return out
  await tokenizeFiles({
    files: [file],
    tokenizer,
    contextSize: recipe.contextSize,
    out,
    onProgress({ bytesDone, bytesTotal }) {
      checkStop(context)
      context.progress({ stage: `tokenizing ${name}`, done: bytesDone, total: bytesTotal, unit: 'bytes' })
    },
  })
  return out
}

/** Is there an earlier store of the same text, tokenizer and context length? A damaged or other one is made again. */
function isUsable(options: { out: string; file: string; tokenizer: TextTokenizer }): boolean {
  const { out, file, tokenizer } = options
  let store: TokenStore | undefined
  try {
    store = openTokenStore({ dir: out })
    checkTokenizer({ store, tokenizer })
    const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex')
    return store.contextSize === recipe.contextSize && store.info.files[0].sha256 === sha256
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    return false
  } finally {
    store?.close()
  }
}

// The demo corpus (8 MB) tokenized: how long with and without offsets, and whether every document gets the ids that the
// library @huggingface/tokenizers gives it. Exit code 1 when one does not.
//   node bench/tokenizer.ts
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { openTokenizer } from '@mistudio/tokenizer'

const assets = join(import.meta.dirname, '../assets/demo')
const readJson = (name: string) => JSON.parse(readFileSync(join(assets, 'model', name), 'utf8'))
const texts = readdirSync(join(assets, 'datasets')).flatMap(name =>
  readFileSync(join(assets, 'datasets', name), 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map((line): string => JSON.parse(line).text),
)

function timed<T>(what: string, job: () => T): T {
  const start = performance.now()
  const result = job()
  console.log(`${what}: ${((performance.now() - start) / 1000).toFixed(2)} s`)
  return result
}

// A tokenizer remembers words: each measurement has its own.
const open = () => openTokenizer({ dir: join(assets, 'model') })
const [first, second] = [open(), open()]
const ours = timed('ids', () => texts.map(text => first.encodeIds(text)))
timed('ids and offsets', () => texts.forEach(text => void second.encode(text)))
const library = new LibraryTokenizer(readJson('tokenizer.json'), readJson('tokenizer_config.json'))
const theirs = timed('the library, ids', () =>
  texts.map(text => library.encode(text, { add_special_tokens: false }).ids),
)
const different = ours.filter((ids, i) => ids.join() !== theirs[i].join()).length
const tokens = ours.reduce((sum, ids) => sum + ids.length, 0)
console.log(
  `${texts.length} documents, ${tokens} tokens, ${different} documents with other ids than the library's`,
)
process.exitCode = different === 0 ? 0 : 1

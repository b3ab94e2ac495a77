// Byte-pair encoding of one word: the pair with the lowest rank is merged first, the leftmost of equals. A
// binary heap of pairs keeps a word of n characters at O(n log n): if nothing splits the text (Llama 2), a
// document is one word.
import { InputError } from '@mistudio/files'
import { asArray, asFlag, asObject, asTokenId, type JsonObject, optionalString } from './json.ts'
import { byteTokens, fallback, type WordModel, type WordTokens } from './word_model.ts'

// A pair is one number, left * 2^26 + right: exact in a double for every vocabulary below 2^26.
const pairBase = 2 ** 26
// A heap entry is one number, rank * 2^27 + place.
const placeBase = 2 ** 27

/**
 * @throws InputError for a merge of tokens that are not in the vocabulary, and other unusable
 * fields
 */
export function createBpe({ config, file }: { config: JsonObject; file: string }): WordModel {
  const at = (name: string) => ({ file, field: `model.${name}` })
  const entries = Object.entries(asObject(config.vocab, at('vocab')))
  const vocabulary = new Map(entries.map(([token, id]) => [token, asTokenId(id, at(`vocab.${token}`))]))
  if (typeof config.dropout === 'number' && config.dropout > 0) {
    const message = 'a tokenizer with dropout gives different tokens every time'
    throw new InputError({ message, ...at('dropout'), found: String(config.dropout), expected: 'null' })
  }
  const prefix = optionalString(config.continuing_subword_prefix, '', at('continuing_subword_prefix'))
  const suffix = optionalString(config.end_of_word_suffix, '', at('end_of_word_suffix'))
  const ignoreMerges = asFlag(config.ignore_merges, false, at('ignore_merges'))
  const fuse = asFlag(config.fuse_unk, false, at('fuse_unk'))
  const bytes = asFlag(config.byte_fallback, false, at('byte_fallback')) ? byteTokens(vocabulary) : null
  const unknown = vocabulary.get(optionalString(config.unk_token, '', at('unk_token'))) ?? -1
  const { ranks, merged } = readMerges({ config, vocabulary, prefix, file })

  /** Tokens of one character each, before any merge. */
  function characters(word: string): WordTokens {
    const ids: number[] = []
    const spans: number[] = []
    let waiting: [number, number] | null = null
    const put = (id: number, start: number, end: number) => {
      ids.push(id)
      spans.push(start, end)
    }
    const putWaiting = () => {
      if (waiting !== null) put(unknown, waiting[0], waiting[1])
      waiting = null
    }
    let start = 0
    for (const character of word) {
      const end = start + character.length
      const spelled = (start > 0 ? prefix : '') + character + (end === word.length ? suffix : '')
      const id = vocabulary.get(spelled)
      const spelledBytes = id === undefined && bytes !== null ? fallback(spelled, bytes) : null
      if (id !== undefined) {
        putWaiting()
        put(id, start, end)
      } else if (spelledBytes !== null) {
        for (const byte of spelledBytes) put(byte, start, end)
      } else if (unknown >= 0) {
        const joined: [number, number] | null = fuse ? waiting : null
        if (joined === null) putWaiting()
        waiting = [joined === null ? start : joined[0], end]
      }
      start = end
    }
    putWaiting()
    return { ids, spans }
  }

  function merge({ ids, spans }: WordTokens): WordTokens {
    const n = ids.length
    const next = Int32Array.from({ length: n }, (_, i) => (i + 1 < n ? i + 1 : -1))
    const before = Int32Array.from({ length: n }, (_, i) => i - 1)
    const heap: number[] = []
    const consider = (place: number) => {
      if (place < 0 || next[place] < 0) return
      const rank = ranks.get(ids[place] * pairBase + ids[next[place]])
      if (rank !== undefined) push(heap, rank * placeBase + place)
    }
    for (let i = 0; i + 1 < n; i++) consider(i)
    while (heap.length > 0) {
      const entry = pop(heap)
      const place = entry % placeBase
      const right = next[place]
      if (ids[place] < 0 || right < 0) continue
      // The pair may have changed since it was pushed.
      const rank = ranks.get(ids[place] * pairBase + ids[right])
      const result = merged[(entry - place) / placeBase]
      if (rank === undefined || merged[rank] !== result) continue
      ids[place] = result
      ids[right] = -1
      spans[2 * place + 1] = spans[2 * right + 1]
      next[place] = next[right]
      if (next[place] >= 0) before[next[place]] = place
      consider(before[place])
      consider(place)
    }
    const kept: WordTokens = { ids: [], spans: [] }
    for (let i = 0; i < n; i++) {
      if (ids[i] < 0) continue
      kept.ids.push(ids[i])
      kept.spans.push(spans[2 * i], spans[2 * i + 1])
    }
    return kept
  }

  return {
    vocabulary,
    tokenize(word) {
      const known = ignoreMerges ? vocabulary.get(word) : undefined
      return known === undefined ? merge(characters(word)) : { ids: [known], spans: [0, word.length] }
    },
  }
}

type MergesOptions = { config: JsonObject; vocabulary: Map<string, number>; prefix: string; file: string }

/** Ranks by pair, and the result of each rank's merge. Merges are `"a b"` or `["a", "b"]`. */
function readMerges({ config, vocabulary, prefix, file }: MergesOptions) {
  const ranks = new Map<number, number>()
  const merges = asArray(config.merges, { file, field: 'model.merges' })
  const merged = new Int32Array(merges.length)
  merges.forEach((merge, rank) => {
    const pair: unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : []
    const [first, second] = pair
    const usable = pair.length === 2 && typeof first === 'string' && typeof second === 'string'
    const left = usable ? vocabulary.get(first) : undefined
    const right = usable ? vocabulary.get(second) : undefined
    const result = usable ? vocabulary.get(first + second.slice(prefix.length)) : undefined
    if (left === undefined || right === undefined || result === undefined) {
      const field = `model.merges[${rank}]`
      const found = JSON.stringify(merge)
      const expected = 'two tokens whose concatenation is a token'
      throw new InputError({ message: 'a merge that cannot be used', file, field, found, expected })
    }
    ranks.set(left * pairBase + right, rank)
    merged[rank] = result
  })
  return { ranks, merged }
}

function push(heap: number[], value: number): void {
  let i = heap.length
  heap.push(value)
  while (i > 0) {
    const parent = (i - 1) >> 1
    if (heap[parent] <= value) break
    heap[i] = heap[parent]
    i = parent
  }
  heap[i] = value
}

function pop(heap: number[]): number {
  const top = heap[0]
  const value = heap.pop()!
  const n = heap.length
  if (n === 0) return top
  let i = 0
  for (;;) {
    let child = 2 * i + 1
    if (child >= n) break
    if (child + 1 < n && heap[child + 1] < heap[child]) child++
    if (heap[child] >= value) break
    heap[i] = heap[child]
    i = child
  }
  heap[i] = value
  return top
}

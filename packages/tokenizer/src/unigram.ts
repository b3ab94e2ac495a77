// The Unigram model of SentencePiece: the split of a word with the highest sum of scores (Viterbi over a trie).
// A character that no token covers scores the lowest score minus 10 and becomes the unknown token, or its
// bytes.
import { InputError } from '@mistudio/files'
import { characterLength } from './aligned.ts'
import { asArray, asFlag, asTokenId, type JsonObject } from './json.ts'
import { byteTokens, fallback, type WordModel, type WordTokens } from './word_model.ts'

const unknownPenalty = 10

/** @throws InputError for a vocabulary that is not a list of [token, score] */
export function createUnigram({ config, file }: { config: JsonObject; file: string }): WordModel {
  const at = (name: string) => ({ file, field: `model.${name}` })
  const list = asArray(config.vocab, at('vocab'))
  const vocabulary = new Map<string, number>()
  const scores = new Float64Array(list.length)
  list.forEach((entry, id) => {
    const [token, score]: unknown[] = Array.isArray(entry) ? entry : []
    if (typeof token !== 'string' || typeof score !== 'number') {
      const found = JSON.stringify(entry)
      throw new InputError({
        message: 'an entry that cannot be used',
        ...at(`vocab[${id}]`),
        found,
        expected: '[token, score]',
      })
    }
    vocabulary.set(token, id)
    scores[id] = score
  })
  const unknown =
    config.unk_id === null || config.unk_id === undefined ? -1 : asTokenId(config.unk_id, at('unk_id'))
  if (unknown >= list.length) {
    const expected = `a token id below ${list.length}`
    throw new InputError({
      message: 'an unknown token beyond the vocabulary',
      ...at('unk_id'),
      found: String(unknown),
      expected,
    })
  }
  const unknownScore = scores.reduce((a, b) => Math.min(a, b), Infinity) - unknownPenalty
  const bytes = asFlag(config.byte_fallback, false, at('byte_fallback')) ? byteTokens(vocabulary) : null
  const trie = createTrie(vocabulary)

  /** Where the pieces of the best split end; a piece no token covers gets the unknown id. */
  function bestCut(word: string): { start: number; end: number; id: number }[] {
    const n = word.length
    const best = new Float64Array(n + 1).fill(-Infinity)
    const from = new Int32Array(n + 1).fill(-1)
    const token = new Int32Array(n + 1)
    best[0] = 0
    const reach = (start: number, end: number, score: number, id: number) => {
      const total = best[start] + score
      if (from[end] >= 0 && total <= best[end]) return
      best[end] = total
      from[end] = start
      token[end] = id
    }
    for (let start = 0; start < n; ) {
      const single = characterLength(word, start)
      let covered = false
      let node = 0
      for (let end = start + 1; end <= n; end++) {
        node = trie.step(node, word.charCodeAt(end - 1))
        if (node < 0) break
        const id = trie.token(node)
        if (id < 0) continue
        reach(start, end, scores[id], id)
        if (end === start + single) covered = true
      }
      if (!covered) reach(start, start + single, unknownScore, unknown)
      start += single
    }
    const pieces: { start: number; end: number; id: number }[] = []
    for (let end = n; end > 0; end = from[end]) {
      const last = pieces.at(-1)
      if (last !== undefined && last.id === unknown && token[end] === unknown && unknown >= 0)
        last.start = from[end]
      else pieces.push({ start: from[end], end, id: token[end] })
    }
    return pieces.reverse()
  }

  return {
    vocabulary,
    tokenize(word) {
      const tokens: WordTokens = { ids: [], spans: [] }
      for (const { start, end, id } of bestCut(word)) {
        const text = word.slice(start, end)
        const known = id === unknown ? vocabulary.get(text) : id
        const spelled = known === undefined && bytes !== null ? fallback(text, bytes) : null
        const ids = known !== undefined ? [known] : (spelled ?? [unknown])
        for (const tokenId of ids) {
          if (tokenId < 0) {
            const message = 'a character outside the vocabulary, and the tokenizer has no unknown token'
            throw new InputError({ message, ...at('unk_id'), found: JSON.stringify(text) })
          }
          tokens.ids.push(tokenId)
          tokens.spans.push(start, end)
        }
      }
      return tokens
    },
  }
}

/** A trie over UTF-16 code units: one map from (node, unit) to node. */
function createTrie(vocabulary: Map<string, number>) {
  const edges = new Map<number, number>()
  const tokens: number[] = [-1]
  for (const [text, id] of vocabulary) {
    let node = 0
    for (let i = 0; i < text.length; i++) {
      const edge = node * 65536 + text.charCodeAt(i)
      let child = edges.get(edge)
      if (child === undefined) {
        child = tokens.push(-1) - 1
        edges.set(edge, child)
      }
      node = child
    }
    tokens[node] = id
  }
  return {
    step: (node: number, unit: number): number => edges.get(node * 65536 + unit) ?? -1,
    token: (node: number): number => tokens[node],
  }
}

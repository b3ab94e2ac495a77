// Probing tasks: contexts of tokens with marked units and their labels. Texts with labels from a file; which dataset a
// piece of text comes from; the first letter of the next word; and the words of the first-letter task, each at the end of
// a prompt with examples (the token before "has the first letter:", which a causal model cannot see).
import { readFileSync } from 'node:fs'
import type { TokenSplit } from '@mistudio/corpus'
import { InputError } from '@mistudio/files'
import { randomStream } from '@mistudio/tensor'
import type { Tokenizer } from '@mistudio/tokenizer'
import type { Unit } from './collect.ts'

type LabelledUnit = Unit & { label: string; document: string }

/** Contexts padded to one length, and their units. */
export type ProbeTask = {
  task: string
  contexts: { ids: Int32Array; units: LabelledUnit[] }[]
}

/** Most contexts of one task from a dataset; spread over it by the seed. */
const mostContexts = 400
/** Of the next-letter task. */
const mostLetters = 10
const perContext = 4
/** A larger file is not a set of labelled texts. */
const largestFileBytes = 1 << 28

type Named = { name: string; split: TokenSplit }

/** The longest piece of one document in each context, labelled with its dataset. */
export function datasetTask(options: {
  datasets: readonly Named[]
  contextSize: number
  seed: number
}): ProbeTask {
  const contexts = options.datasets.flatMap(({ name, split }) =>
    contextsOf({ ...options, name, split }).map(({ ids, mask, spans }) => {
      const longest = spans.reduce((a, b) => (b.end - b.start > a.end - a.start ? b : a))
      const positions = range(longest.start, longest.end).filter(t => mask[t] === 1)
      const unit = { positions, label: name, document: `${name}/${longest.document}` }
      return { ids, units: positions.length === 0 ? [] : [unit] }
    }),
  )
  return { task: 'dataset', contexts }
}

/** Positions whose next token begins a word, labelled with its first letter; at most `perContext` per context. */
export function nextLetterTask(options: {
  datasets: readonly Named[]
  tokenizer: Tokenizer
  contextSize: number
  seed: number
}): ProbeTask {
  const { datasets, tokenizer, seed } = options
  const letterOf = (id: number) => /^ ([A-Za-z])/.exec(tokenizer.tokenText(id))?.[1].toLowerCase()
  const contexts = datasets.flatMap(({ name, split }) =>
    contextsOf({ ...options, name, split }).map(({ ids, mask, spans, context }) => {
      const draw = randomStream({ seed, purpose: `next letter ${name} ${context}` })
      const found = range(0, ids.length - 1).filter(
        t => mask[t] === 1 && mask[t + 1] === 1 && letterOf(ids[t + 1]) !== undefined,
      )
      const chosen = found
        .map(t => ({ t, at: draw() }))
        .sort((a, b) => a.at - b.at)
        .slice(0, perContext)
      const units = chosen.map(({ t }) => {
        const { document } = spans.find(({ start, end }) => t >= start && t < end)!
        return { positions: [t], label: letterOf(ids[t + 1])!, document: `${name}/${document}` }
      })
      return { ids, units }
    }),
  )
  const counts = new Map<string, number>()
  for (const { units } of contexts) {
    for (const { label } of units) counts.set(label, (counts.get(label) ?? 0) + 1)
  }
  const frequent = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, mostLetters)
  const kept = new Set(frequent.map(([letter]) => letter))
  return {
    task: 'next_letter',
    contexts: contexts.map(({ ids, units }) => ({
      ids,
      units: units.filter(({ label }) => kept.has(label)),
    })),
  }
}

/**
 * Texts with labels, one JSON object per line with `text` and `label`. Texts are cut at the context's length.
 * @throws InputError naming file, line and field
 */
export function fileTask(options: { file: string; tokenizer: Tokenizer; contextSize: number }): ProbeTask {
  const { file, tokenizer, contextSize } = options
  const fail = (line: number, field: string, found: string, expected: string) =>
    new InputError({ message: 'no labelled text', file, line, field, found, expected })
  let content: Buffer
  try {
    content = readFileSync(file)
  } catch (error) {
    throw new InputError({
      message: 'the labelled texts cannot be read',
      file,
      found: (error as Error).message,
      expected: 'a .jsonl file with text and label',
    })
  }
  if (content.length > largestFileBytes)
    throw fail(1, 'size', `${content.length} bytes`, `at most ${largestFileBytes}`)
  const contexts = content
    .toString('utf8')
    .split('\n')
    .flatMap((line, i) => {
      if (line.trim() === '') return []
      let row: { text?: unknown; label?: unknown } | null
      try {
        row = JSON.parse(line)
      } catch {
        throw fail(i + 1, 'line', line.slice(0, 40), 'a JSON object with text and label')
      }
      const text = row?.text
      const label = row?.label
      if (typeof text !== 'string') throw fail(i + 1, 'text', typeof text, 'a string')
      if (typeof label !== 'string' && typeof label !== 'number' && typeof label !== 'boolean') {
        throw fail(i + 1, 'label', typeof label, 'a string, number or flag')
      }
      const { ids, length } = padded(tokenizer, tokenizer.encodeIds(text), contextSize)
      const positions = range(1, length).filter(t => !tokenizer.specialTokens.has(ids[t]))
      const unit = { positions, label: String(label), document: text }
      return positions.length === 0 ? [] : [{ ids, units: [unit] }]
    })
  return { task: file.split(/[\\/]/).at(-1)!, contexts }
}

export type WordPrompts = {
  /** `label` is the letter, `document` the word without its space, in lower case. */
  contexts: ProbeTask['contexts']
  /** Per context: whether probes are fitted on its word. */
  train: boolean[]
  words: string[]
  iclExamples: number
}

/**
 * Every word is a token of letters alone, with or without a leading space, at the end of a prompt with `iclExamples` examples
 * "WORD has the first letter: L", drawn from the words on its own side of the split (SAEBench's template and number).
 */
export function firstLetterPrompts(options: {
  tokenizer: Tokenizer
  contextSize: number
  mostWords: number
  seed: number
}): WordPrompts {
  const { tokenizer, contextSize, mostWords, seed } = options
  const draw = randomStream({ seed, purpose: 'first letter words' })
  const vocabulary = range(0, tokenizer.vocabSize)
    .filter(id => !tokenizer.specialTokens.has(id))
    .map(id => ({ id, text: tokenizer.tokenText(id), at: draw() }))
    .filter(({ text }) => /^ ?[A-Za-z]+$/.test(text))
    .sort((a, b) => a.at - b.at)
    .slice(0, mostWords)
  const plain = (text: string) => text.trim().toLowerCase()
  const isTrain = (text: string) => randomStream({ seed, purpose: `word ${plain(text)}` })() < 0.8
  const sides = { train: vocabulary.filter(({ text }) => isTrain(text)), test: [] as typeof vocabulary }
  sides.test = vocabulary.filter(word => !sides.train.includes(word))
  const says = tokenizer.encodeIds(' has the first letter:')
  const newline = tokenizer.encodeIds('\n')
  const answer = (text: string) => tokenizer.encodeIds(` ${plain(text)[0].toUpperCase()}`)
  const longest = 1 + says.length + 2 + newline.length
  const iclExamples = Math.max(0, Math.min(10, Math.floor((contextSize - 2 - newline.length) / longest)))
  const prompts = (['train', 'test'] as const).flatMap(side =>
    sides[side].map(word => {
      const pick = randomStream({ seed, purpose: `examples ${word.id}` })
      const others = sides[side].filter(other => plain(other.text) !== plain(word.text))
      const examples = range(0, others.length === 0 ? 0 : iclExamples).flatMap(() => {
        const example = others[Math.floor(pick() * others.length)]
        return [...newline, example.id, ...says, ...answer(example.text)]
      })
      const ids = [...examples, ...newline, word.id]
      const { ids: context, length } = padded(tokenizer, ids, contextSize)
      const unit = { positions: [length - 1], label: plain(word.text)[0], document: plain(word.text) }
      return { context: { ids: context, units: [unit] }, train: side === 'train', word: word.text }
    }),
  )
  return {
    contexts: prompts.map(({ context }) => context),
    train: prompts.map(({ train }) => train),
    words: prompts.map(({ word }) => word),
    iclExamples,
  }
}

/** The document token, as many ids as fit, then padding with the document token. */
function padded(tokenizer: Tokenizer, ids: readonly number[], contextSize: number) {
  const context = new Int32Array(contextSize).fill(tokenizer.documentToken)
  const length = Math.min(contextSize, ids.length + 1)
  context.set(ids.slice(0, length - 1), 1)
  return { ids: context, length }
}

function contextsOf(options: { name: string; split: TokenSplit; contextSize: number; seed: number }) {
  const { name, split, contextSize, seed } = options
  const draw = randomStream({ seed, purpose: `probe contexts ${name}` })
  const chosen = range(0, split.contexts)
    .map(context => ({ context, at: draw() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, mostContexts)
  return chosen.map(({ context }) => {
    const ids = new Int32Array(contextSize)
    const mask = new Uint8Array(contextSize)
    split.readContext(context, ids, mask)
    return { context, ids, mask, spans: split.documentsOf(context) }
  })
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)

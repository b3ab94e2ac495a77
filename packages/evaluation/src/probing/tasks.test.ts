// The tasks of probing on the demo's tokenizer and on made-up token stores, and a run of all of them on the demo model.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TokenSplit } from '@mistudio/corpus'
import { openModel } from '@mistudio/model'
import type { Sae } from '@mistudio/sae'
import { gaussianStream, openWorkerPool } from '@mistudio/tensor'
import { openTokenizer, type Tokenizer } from '@mistudio/tokenizer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { probeSaes } from './probe_saes.ts'
import { datasetTask, fileTask, firstLetterPrompts, nextLetterTask } from './tasks.ts'

const dir = fileURLToPath(new URL('../../../../assets/demo/model', import.meta.url))
const contextSize = 32
let tokenizer: Tokenizer
let folder: string
beforeAll(() => {
  tokenizer = openTokenizer({ dir })
  folder = mkdtempSync(join(tmpdir(), 'mistudio-tasks-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Contexts of a text repeated, two documents in each. */
function splitOf(text: string, contexts: number): TokenSplit {
  const ids = tokenizer.encodeIds(text)
  return {
    path: text,
    tokens: contexts * contextSize,
    contexts,
    documents: 2 * contexts,
    readContext(index: number, into: Int32Array, mask: Uint8Array) {
      for (let t = 0; t < contextSize; t++) {
        into[t] = t % 12 === 0 ? tokenizer.documentToken : ids[(index + t) % ids.length]
        mask[t] = t % 12 === 0 ? 0 : 1
      }
    },
    documentsOf: (index: number) => [
      { start: 0, end: 12, document: 2 * index, sourceFile: 'a', sourceRow: 0 },
      { start: 12, end: contextSize, document: 2 * index + 1, sourceFile: 'a', sourceRow: 1 },
    ],
  } as TokenSplit
}
const datasets = () => [
  { name: 'sea', split: splitOf('the waves roll over the dark sea and ships go by', 12) },
  { name: 'code', split: splitOf('SELECT name FROM table WHERE id = 4 ORDER BY name', 12) },
]

test('of a context the longest piece of one document stands for its dataset', () => {
  const { contexts } = datasetTask({ datasets: datasets(), contextSize, seed: 0 })
  expect(contexts).toHaveLength(24)
  for (const { units } of contexts) {
    expect(units).toHaveLength(1)
    expect(units[0].positions[0]).toBe(13)
    expect(units[0].positions).not.toContain(24)
    expect(units[0].document).toMatch(/^(sea|code)\/\d*[13579]$/)
  }
})

test('the next letter is that of the word which the next token begins', () => {
  const { contexts } = nextLetterTask({ datasets: datasets(), tokenizer, contextSize, seed: 0 })
  const units = contexts.flatMap(({ ids, units }) => units.map(unit => ({ ...unit, ids })))
  expect(units.length).toBeGreaterThan(20)
  for (const { positions, label, ids } of units) {
    // Neither the position nor the word after it is masked.
    expect([0, 11]).not.toContain(positions[0] % 12)
    expect(
      tokenizer
        .tokenText(ids[positions[0] + 1])
        .trim()[0]
        .toLowerCase(),
    ).toBe(label)
  }
})

test('words stand alone at the end of prompts whose examples come from their own side', () => {
  const prompts = firstLetterPrompts({ tokenizer, contextSize: 64, mostWords: 300, seed: 1 })
  expect(prompts.contexts).toHaveLength(300)
  expect(prompts.iclExamples).toBeGreaterThan(2)
  const plain = (text: string) => text.trim().toLowerCase()
  const side = new Map(prompts.words.map((word, i) => [plain(word), prompts.train[i]]))
  prompts.contexts.forEach(({ ids, units: [unit] }, i) => {
    expect(tokenizer.tokenText(ids[unit.positions[0]])).toBe(prompts.words[i])
    expect(unit.label).toBe(plain(prompts.words[i])[0])
    // No word is on both sides, whatever its case or space.
    expect(side.get(plain(prompts.words[i]))).toBe(prompts.train[i])
    const text = tokenizer.decode(ids.slice(1, unit.positions[0] + 1))
    const examples = [...text.matchAll(/\n ?(\w+) has the first letter: (\w)/g)]
    expect(examples).toHaveLength(prompts.iclExamples)
    for (const [, word, letter] of examples) {
      expect(letter).toBe(word[0].toUpperCase())
      expect(side.get(plain(word))).toBe(prompts.train[i])
      expect(plain(word)).not.toBe(plain(prompts.words[i]))
    }
  })
  const share = prompts.train.filter(Boolean).length / 300
  expect(share).toBeGreaterThan(0.7)
  expect(share).toBeLessThan(0.9)
})

test('labelled texts are read, cut at the context, and refused with their line', () => {
  const file = join(folder, 'probe.jsonl')
  const rows = [
    { text: 'the sea '.repeat(60), label: 'long' },
    { text: 'a table', label: 3 },
  ]
  writeFileSync(file, `${rows.map(row => JSON.stringify(row)).join('\n')}\n\n`)
  const { task, contexts } = fileTask({ file, tokenizer, contextSize })
  expect(task).toBe('probe.jsonl')
  expect(contexts.map(({ units }) => units[0].label)).toEqual(['long', '3'])
  expect(contexts[0].units[0].positions).toEqual(Array.from({ length: contextSize - 1 }, (_, i) => i + 1))
  expect(contexts[1].units[0].positions.length).toBeLessThan(6)
  for (const [line, field] of [
    ['{"text": 1, "label": "a"}', 'text'],
    ['{"text": "a"}', 'label'],
    ['nonsense', 'line'],
  ]) {
    writeFileSync(file, `{"text":"a","label":"b"}\n${line}\n`)
    expect(() => fileTask({ file, tokenizer, contextSize })).toThrow(new RegExp(`line: 2; field: ${field}`))
  }
  expect(() => fileTask({ file: join(folder, 'none.jsonl'), tokenizer, contextSize })).toThrow(
    /cannot be read/,
  )
})

test('all tasks run on the demo model, for several SAEs at once', async () => {
  const pool = await openWorkerPool({ count: 2 })
  const model = await openModel({ dir })
  const [width, dSae] = [256, 64]
  const sae = (seed: number): Sae => {
    const draw = gaussianStream({ seed, purpose: 'sae' })
    const take = (n: number) => Float32Array.from({ length: n }, () => 0.1 * draw())
    const hooks = [{ hook: 'blocks.1.hook_resid_post', width }]
    return {
      family: 'topk',
      shape: { dIn: width, dSae, dOut: width },
      groups: [{ latents: [0, dSae], input: [0, width], output: [0, width] }],
      activation: { kind: 'topk', k: 8 },
      centred: true,
      normalisation: 'none',
      weights: { wEnc: take(dSae * width), bEnc: take(dSae), wDec: take(dSae * width), bDec: take(width) },
      hooks: { inputs: hooks, outputs: hooks },
    }
  }
  const result = await probeSaes({
    pool,
    model,
    contextSize,
    saes: [sae(1), sae(2)],
    tasks: [
      datasetTask({
        datasets: datasets().map(one => ({ ...one, split: { ...one.split, contexts: 60 } })),
        contextSize,
        seed: 0,
      }),
    ],
    words: firstLetterPrompts({ tokenizer, contextSize, mostWords: 120, seed: 0 }),
    seed: 0,
  })
  model.weights.close()
  await pool.close()
  expect(result).toHaveLength(2)
  for (const { probing, absorption } of result) {
    // Verse against SQL: the activation always distinguishes them.
    expect(probing[0].llm_test_accuracy).toBe(1)
    expect(probing[0].sae_test_accuracy).toBeGreaterThan(0.9)
    expect(absorption!.train_words + absorption!.test_words).toBe(120)
  }
  expect(result[0].probing[0].per_class[0].latents).not.toEqual(result[1].probing[0].per_class[0].latents)
})

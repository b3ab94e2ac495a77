// What the tests of this room share: a folder, a byte tokenizer, a "model" that is one look-up, and a random SAE.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Forward } from '@mistudio/capture'
import { openTokenStore, type TextTokenizer, type TokenStore, tokenizeFiles } from '@mistudio/corpus'
import { type HitList, inferSae, type SaeFile } from '@mistudio/sae'
import { randomStream, type Task, type WorkerPool } from '@mistudio/tensor'
import { afterEach, beforeEach } from 'vitest'
import type { PieceTokenizer } from '../src/files/examples.ts'

/** A fresh folder for every test of the file. */
export function useFolder(): { path(name: string): string } {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mistudio-feature-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  return { path: name => join(folder, name) }
}

const vocabSize = 257

/** UTF-8 bytes as tokens; 256 separates documents. A character of several bytes is several tokens. */
export const byteTokenizer: TextTokenizer & PieceTokenizer = {
  vocabSize,
  documentToken: 256,
  specialTokens: new Set([256]),
  encodeIds: text => [...Buffer.from(text, 'utf8')],
  tokenText: id => (id === 256 ? '<doc>' : id < 128 ? String.fromCharCode(id) : '\ufffd'),
  pieces(ids) {
    const found: { text: string; from: number; to: number }[] = []
    for (let from = 0; from < ids.length; ) {
      const id = ids[from]
      const length = id >= 0xf0 && id < 256 ? 4 : id >= 0xe0 && id < 256 ? 3 : id >= 0xc0 && id < 256 ? 2 : 1
      const to = Math.min(ids.length, from + length)
      const text =
        length === 1
          ? byteTokenizer.tokenText(id)
          : Buffer.from(Array.from(ids).slice(from, to)).toString('utf8')
      found.push({ text, from, to })
      from = to
    }
    return found
  },
}

/** A store of the texts, all of it in the split 'train'. */
export async function storeOf(options: {
  dir: string
  texts: string[]
  contextSize: number
  tokenizer?: TextTokenizer
}): Promise<TokenStore> {
  const { dir, texts, contextSize, tokenizer = byteTokenizer } = options
  const file = `${dir}.jsonl`
  writeFileSync(file, texts.map(text => `${JSON.stringify({ text })}\n`).join(''))
  await tokenizeFiles({
    files: [file],
    tokenizer,
    contextSize,
    out: dir,
    heldOutFraction: 0,
  })
  return openTokenStore({ dir })
}

/** Numbers in (−1, 1). */
export function randomMatrix(length: number, purpose: string): Float32Array {
  const next = randomStream({ seed: 1, purpose })
  return Float32Array.from({ length }, () => 2 * next() - 1)
}

/** A forward pass whose every hook is a row of `embedding` [vocab, width], chosen by the token. */
export async function lookupForward(options: {
  pool: WorkerPool
  embeddings: Record<string, Float32Array>
  contextsPerCall: number
  contextSize: number
}): Promise<Forward & { close(): Promise<void> }> {
  const { pool, embeddings, contextsPerCall, contextSize } = options
  const hooks = Object.keys(embeddings)
  const bytes = hooks.reduce((sum, hook) => sum + embeddings[hook].byteLength + 64, 256)
  const memory = await pool.memory({ bytes })
  const tables = hooks.map(hook => {
    const offset = memory.alloc(embeddings[hook].byteLength)
    memory.f32(offset, embeddings[hook].length).set(embeddings[hook])
    return { hook, place: { memory: memory.id, offset }, width: embeddings[hook].length / vocabSize }
  })
  const count = contextsPerCall * contextSize
  return {
    outputs: tables.map(({ hook, width }) => ({ name: hook, width })),
    tasks: ({ contexts, places }) =>
      Array.from({ length: Math.ceil(contexts / contextsPerCall) }, (_, call): Task => {
        const shifted = (name: string, width: number) => ({
          memory: places[name].memory,
          offset: places[name].offset + 4 * call * count * width,
        })
        return tables.map(({ hook, place, width }) => ({
          copy: { from: place, to: shifted(hook, width), rows: shifted('input_ids', 1), count, width },
        }))
      }),
    close: () => pool.release(memory),
  }
}

export function randomSae(options: {
  dir: string
  hookPoint: string
  dIn: number
  dSae: number
  k: number
}): SaeFile {
  const { dir, hookPoint, dIn, dSae, k } = options
  const span = { hook: hookPoint, width: dIn }
  return {
    dir,
    format: 'none',
    file: 'none',
    config: {},
    architecture: 'topk',
    family: 'topk',
    shape: { dIn, dSae, dOut: dIn },
    groups: [{ latents: [0, dSae], input: [0, dIn], output: [0, dIn] }],
    activation: { kind: 'topk', k },
    centred: true,
    normalisation: 'none',
    hooks: { inputs: [span], outputs: [span] },
    weights: {
      wEnc: randomMatrix(dSae * dIn, `${hookPoint} enc`),
      bEnc: randomMatrix(dSae, `${hookPoint} b`).map(value => value * 0.1),
      wDec: randomMatrix(dSae * dIn, `${hookPoint} dec`),
      bDec: randomMatrix(dIn, `${hookPoint} bd`).map(value => value * 0.1),
    },
    metadata: { modelName: 'lookup', contextSize: 16 },
  }
}

/** The firing latents of one input, float64: x holds the columns of all input hook points. */
export function naiveEncode(sae: SaeFile, x: Float32Array): Map<number, number> {
  const { featureActs } = inferSae({ sae, x })
  return new Map(Array.from(featureActs.entries()).filter(([, value]) => value > 0))
}

/** Rows of k hits each as one list, as the encoder gives them: what does not fire is left out. */
export function evenHits(options: {
  k: number
  index: ArrayLike<number>
  value: ArrayLike<number>
}): HitList[] {
  const { k, index, value } = options
  const rows = value.length / k
  const starts = new Int32Array(rows + 1)
  const kept: number[] = []
  for (let r = 0; r < rows; r++) {
    for (let i = r * k; i < (r + 1) * k; i++) if (value[i] !== 0) kept.push(i)
    starts[r + 1] = kept.length
  }
  return [
    {
      firstRow: 0,
      rows,
      starts,
      index: Int32Array.from(kept, i => index[i]),
      value: Float32Array.from(kept, i => value[i]),
    },
  ]
}

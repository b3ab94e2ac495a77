// Feature extraction: features of one or more SAEs of a model, from text to a folder per SAE.
import { resolve } from 'node:path'
import { type Forward, type LiveCapture, widthOf } from '@mistudio/capture'
import type { SplitName, TokenStore } from '@mistudio/corpus'
import { InputError } from '@mistudio/files'
import {
  createEncoder,
  type Encoder,
  groupRows,
  outputsAreInputs,
  type SaeFile,
  type SaeHooks,
} from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import { openTokenizer } from '@mistudio/tokenizer'
import { createCollector } from '../collect/collector.ts'
import { defaultWindow, type WindowShape } from '../collect/windows.ts'
import { type PieceTokenizer, tokenTexts } from '../files/examples.ts'
import { type ExtractionSummary, writeExtraction } from '../files/write_extraction.ts'
import { logitHead } from '../logit_head.ts'
import { computeLogits, type LogitHead } from '../logits.ts'
import { encoderRows, heapStats, type PassMember, type PassResult, runPass } from './pass.ts'
import type { ProgressBoard } from './progress_board.ts'
import { openTextSource, type TextSource } from './text_source.ts'

export type ExtractOptions = {
  pool: WorkerPool
  tokenizer: PieceTokenizer
  stores: readonly TokenStore[]
  /** Default 'train'. */
  split?: SplitName
  saes: readonly { sae: SaeFile; out: string }[]
  /** Tokens to read, masked ones included; default 250,000, at most what the stores hold. */
  maxTokens?: number
  /** Determines which contexts are read, in which order, and the reservoirs' draws. */
  seed: number
  /** Top examples of each feature, default 20. */
  examplesPerFeature?: number
  /** Quantile examples of each feature and power of two, default 2. */
  quantilesPerBin?: number
  /** Tokens around a peak, default 24 before and 16 after. */
  contextTokens?: WindowShape
  /** Updated throughout; give its buffer to an emitter in a thread that does not compute. */
  board?: ProgressBoard
  /** Read between batches: a stopped extraction writes what it has, with `complete` false. */
  signal?: { stopped(): boolean }
}

/**
 * Extracts the features of all SAEs in one pass of the model, and writes a folder for each.
 * @param options.capture must have every hook point that the SAEs read (`inputHooks`)
 * @throws InputError for stores, SAEs and model that do not fit each other
 * @example
 * const texts = { stores: ['data/text'] }
 * const capture = await openCapture({ pool, models: ['assets/demo/model'], texts, hooks: inputHooks([sae]) })
 * const [summary] = await extractFeatures({ pool, capture, saes: [{ sae, out: 'data/features' }], seed: 0 })
 * await capture.close()
 */
export async function extractFeatures(
  options: Omit<ExtractOptions, 'tokenizer' | 'stores'> & {
    capture: LiveCapture
    /** Default: the model's own. */
    tokenizer?: PieceTokenizer
  },
): Promise<ExtractionSummary[]> {
  const { capture, ...rest } = options
  const { texts, forward, contextsPerCall } = capture
  const [model] = texts.models
  return await extractWith({
    ...rest,
    tokenizer: options.tokenizer ?? texts.tokenizer ?? openTokenizer(model),
    stores: texts.stores,
    forward,
    contextsPerCall,
    model: { dir: model.dir, name: model.name },
    head: () => logitHead(model),
  })
}

/** Hook points that the SAEs read, each once: what an extraction captures. */
export const inputHooks = (saes: readonly { hooks: SaeHooks }[]): string[] => [
  ...new Set(saes.flatMap(({ hooks }) => hooks.inputs.map(({ hook }) => hook))),
]

/** As `extractFeatures`, over any forward pass that has the SAEs' hooks as outputs. */
export async function extractWith(
  options: ExtractOptions & {
    forward: Forward
    contextsPerCall: number
    model: { dir: string; name: string }
    /** The model's final norm and unembedding, called once if an SAE is in the residual stream; undefined: no logits. */
    head?: () => LogitHead
  },
): Promise<ExtractionSummary[]> {
  const { pool, forward, contextsPerCall, board, signal } = options
  board?.write({ phase: 'loading' })
  checkFolders(options.saes.map(({ out }) => resolve(out)))
  const source = sourceOf(options)
  const members: PassMember[] = []
  const encoders: Encoder[] = []
  try {
    for (const { sae } of options.saes) {
      checkWidth(sae, forward)
      const rowsPerCall = encoderRows(contextsPerCall * source.contextSize)
      const encoder = await createEncoder({ pool, sae, rowsPerCall })
      encoders.push(encoder)
      const collector = createCollector({
        features: sae.shape.dSae,
        contextSize: source.contextSize,
        seed: options.seed,
        examplesPerFeature: options.examplesPerFeature,
        quantilesPerBin: options.quantilesPerBin,
        window: options.contextTokens,
      })
      members.push({ encoder, collector })
    }
    const stopped = () => signal?.stopped() ?? false
    const result = await runPass({ pool, forward, contextsPerCall, source, members, board, stopped })
    const features_to_write = members.reduce((sum, { collector }) => sum + collector.features, 0)
    board?.write({ phase: 'writing', features_written: 0, features_to_write, ...heapStats(members) })
    return await writeAll({ ...options, source, members, result })
  } finally {
    for (const encoder of encoders) await encoder.close()
  }
}

async function writeAll(
  options: ExtractOptions & {
    model: { dir: string; name: string }
    head?: () => LogitHead
    source: TextSource
    members: readonly PassMember[]
    result: PassResult
  },
): Promise<ExtractionSummary[]> {
  const { pool, tokenizer, stores, saes, source, members, result, model, board } = options
  const texts = tokenTexts({ tokenizer })
  const directions = saes.map(({ sae }) => residualDirections(sae))
  const head = directions.some(rows => rows !== undefined) ? options.head?.() : undefined
  const summaries: ExtractionSummary[] = []
  let written = 0
  for (const [i, { sae, out }] of saes.entries()) {
    const wDec = directions[i]
    const logits = head && wDec && (await computeLogits({ pool, wDec, head }))
    const { collector } = members[i]
    const summary = await writeExtraction({
      out,
      collector,
      origin: {
        sae: {
          dir: sae.dir,
          hooks: sae.hooks,
          shape: sae.shape,
          k: sae.activation.kind === 'topk' ? sae.activation.k : null,
          architecture: sae.architecture,
          family: sae.family,
        },
        model,
        stores: stores.map(({ dir, name }) => ({ dir, name })),
        split: options.split ?? defaultSplit,
        tokensRead: result.contexts * source.contextSize,
        contexts: result.contexts,
        contextSize: source.contextSize,
        seed: options.seed,
        complete: result.complete,
        window: options.contextTokens ?? defaultWindow,
        quantilesPerBin: collector.reservoirs.perBin,
      },
      originOf: source.originOf,
      texts,
      logits,
      onFeature(feature) {
        if (feature % featuresPerWrite === 0) board?.write({ features_written: written + feature })
      },
    })
    written += collector.features
    board?.write({ features_written: written })
    summaries.push(summary)
  }
  return summaries
}

/** Features between board updates, since each update wakes the watcher. */
const featuresPerWrite = 64

const defaultSplit: SplitName = 'train'
const defaultMaxTokens = 250_000

function sourceOf(options: ExtractOptions): TextSource {
  const { stores, split = defaultSplit, seed, maxTokens = defaultMaxTokens } = options
  return openTextSource({ stores, split, seed, maxTokens })
}

/** Hooks whose value is, or is added to, the residual stream: only their decoder rows reach the unembedding. */
export function inResidualStream(hook: string): boolean {
  return /\.hook_(resid_(pre|mid|post)|attn_out|mlp_out)$/.test(hook)
}

/**
 * What a feature adds to the residual stream, [d_sae, d]: its decoder row; for a cross-layer transcoder, which writes into
 * several layers, the sum over them. undefined if it writes elsewhere, and for a crosscoder, whose hook points are the
 * same stream several times.
 */
function residualDirections({ hooks, groups, shape, weights }: SaeFile): Float32Array | undefined {
  const { outputs } = hooks
  if (!outputs.every(({ hook }) => inResidualStream(hook))) return undefined
  if (outputs.length === 1) return weights.wDec
  const [{ width }] = outputs
  if (outputsAreInputs(hooks) || outputs.some(output => output.width !== width)) return undefined
  const sums = new Float32Array(shape.dSae * width)
  for (const { latents, count, writes, decoderAt } of groupRows(groups)) {
    for (let i = 0; i < count; i++) {
      const to = (latents[0] + i) * width
      for (let j = 0; j < writes; j++) sums[to + (j % width)] += weights.wDec[decoderAt + i * writes + j]
    }
  }
  return sums
}

function checkFolders(folders: string[]): void {
  const twice = folders.find((folder, i) => folders.indexOf(folder) < i)
  if (twice === undefined) return
  throw new InputError({
    message: 'two SAEs would write to the same folder',
    field: 'out',
    found: twice,
    expected: 'a folder for each SAE',
  })
}

function checkWidth(sae: SaeFile, forward: Forward): void {
  for (const { hook, width: found } of sae.hooks.inputs) {
    const width = widthOf(forward, hook)
    if (width === found) continue
    throw new InputError({
      message: 'the SAE does not fit the model at its hook point',
      file: sae.dir,
      field: `d_in at ${hook}`,
      found: String(found),
      expected: String(width),
    })
  }
}

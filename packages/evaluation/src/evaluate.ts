// How good an SAE is, on text it was not trained on: one report for every family. First pass: reconstruction and
// sparsity, over all requested tokens. Second pass, over the first contexts of the same text: what the reconstruction
// does to the model's predictions. A transcoder's reconstruction replaces its output hook point; a crosscoder's or
// cross-layer transcoder's replace all its output hook points at once, computed from the untouched run's inputs.
// Masked positions (the first of a context, special tokens) are neither scored nor replaced.

import type { ContextSource, Forward } from '@mistudio/capture'
import { createEncoder, type Encoder, type HitRoom, type Sae } from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import { createCaptures, createMatrices } from './captures.ts'
import { addBatch, type EvaluationSums, emptyEvaluationSums } from './reconstruction.ts'
import { type Evaluation, emptyModelSums, evaluationReport } from './report.ts'
import { addSplicedRuns, type ContextLosses, type SpliceForward } from './spliced.ts'

export type { EvaluationSums } from './reconstruction.ts'
export type { Evaluation } from './report.ts'
export type { ContextLosses, SpliceForward } from './spliced.ts'

/** One SAE to evaluate; several may share a splice of the same output hook points. */
export type EvaluateMember = { sae: Omit<Sae, 'family'>; splice: SpliceForward }

export type EvaluateOptions = {
  pool: WorkerPool
  saes: readonly EvaluateMember[]
  /** Captures every input and output hook point and the splices' frontiers, once for all SAEs. */
  prefix: Forward
  /** Contexts of one call of the prefix. */
  contextsPerCall: number
  /** Contexts are read from position 0: give them in random order if not all are read. */
  source: ContextSource
  split: string
  /** Tokens (masked ones included) for reconstruction; default all, at most 1 M. */
  maxTokens?: number
  /** Tokens (masked ones included) for cross-entropy and divergence; default 65,536. */
  maxCeTokens?: number
  onContext?: (member: number, losses: ContextLosses) => void
  /** Contexts done and in total, over both passes. */
  onProgress?: (done: number, total: number) => void
  stopped?: () => boolean
}

/** Contexts of one batch of the first pass, a multiple of the call size. */
const batchCalls = 8

type Running = EvaluateMember & { encoder: Encoder; sums: EvaluationSums }

/**
 * @returns one evaluation for each SAE, in their order, with the sums behind it
 * @example
 * const opened = await openEvaluation({ model, pool, contextSize: source.contextSize, saes: [{ sae }] })
 * const [report] = await evaluateSaes({ ...opened, pool, source, split: 'held_out' })
 * await opened.close()
 * console.log(report.fvu, report.l0, report.delta_ce)
 */
export async function evaluateSaes(
  options: EvaluateOptions,
): Promise<(Evaluation & { sums: EvaluationSums })[]> {
  const { pool, source, split, onProgress } = options
  const upTo = (tokens: number) => Math.min(source.contexts, Math.ceil(tokens / source.contextSize))
  const contexts = upTo(options.maxTokens ?? 1_000_000)
  const ceContexts = Math.min(contexts, upTo(options.maxCeTokens ?? 65_536))
  const total = contexts + ceContexts
  const members: Running[] = []
  try {
    for (const member of options.saes) {
      const sums = emptyEvaluationSums(member.sae)
      members.push({ ...member, encoder: await createEncoder({ pool, sae: member.sae }), sums })
    }
    await addReconstructions({ ...options, members, contexts, onBatch: done => onProgress?.(done, total) })
    const spliced = members.map(({ encoder, splice }) => ({ encoder, splice, sums: emptyModelSums() }))
    await addSplicedRuns({
      ...options,
      members: spliced,
      contexts: ceContexts,
      means: meansOf(members),
      onBatch: done => onProgress?.(contexts + done, total),
    })
    return members.map(({ sums }, m) => ({
      ...evaluationReport({ split, sums, model: spliced[m].sums }),
      sums,
    }))
  } finally {
    for (const { encoder } of members) await encoder.close()
  }
}

async function addReconstructions(
  options: EvaluateOptions & {
    members: readonly Running[]
    contexts: number
    onBatch: (done: number) => void
  },
): Promise<void> {
  const { pool, prefix, members, source, contexts, stopped, onBatch } = options
  const { contextSize } = source
  const batch = options.contextsPerCall * batchCalls
  const rows = batch * contextSize
  const captures = await createCaptures({ pool, rows, prefix })
  const mask = new Uint8Array(rows)
  // Members take turns, so they share the memory for reconstructions.
  const widths = options.saes.flatMap(({ sae }) => sae.hooks.outputs)
  const room = await createMatrices({
    pool,
    rows,
    widths: Object.fromEntries(widths.map(({ hook, width }) => [hook, width])),
  })
  const hits: HitRoom[] = []
  try {
    for (const { encoder } of members) hits.push(await encoder.room({ rows }))
    for (let first = 0; first < contexts && !stopped?.(); first += batch) {
      const count = Math.min(batch, contexts - first)
      source.read({ first, count, ids: captures.ids, mask })
      await pool.run(prefix.tasks({ contexts: count, places: captures.places }))
      for (const [m, { encoder, sae, sums }] of members.entries()) {
        const { inputs, outputs } = sae.hooks
        const lists = await encoder.encode({
          rows: count * contextSize,
          inputs: inputs.map(({ hook }) => captures.places[hook]),
          hits: hits[m],
          reconstruction: outputs.map(({ hook }) => room.places[hook]),
        })
        addBatch({
          sums,
          y: outputs.map(({ hook }) => captures.view(hook)),
          reconstruction: outputs.map(({ hook }) => room.view(hook)),
          hits: lists,
          mask,
          rows: count * contextSize,
          contextSize,
        })
      }
      onBatch(first + count)
    }
  } finally {
    for (const one of hits) await one.close()
    await room.close()
    await captures.close()
  }
}

/** The mean activation of every output hook point over the tokens of the first pass. */
function meansOf(members: readonly Running[]): Record<string, Float64Array> {
  const means: Record<string, Float64Array> = {}
  for (const { sums } of members) {
    for (const { hook, sums: own } of sums.hooks) means[hook] = own.sum.map(value => value / own.rows)
  }
  return means
}

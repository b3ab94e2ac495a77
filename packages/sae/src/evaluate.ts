// How good an SAE is, on text it was not trained on: reconstruction (FVU, L0, dead latents) and what its
// reconstruction does to the model's predictions (ΔCE, CE score). The prefix of the model runs once a batch; the
// clean, spliced and zeroed variants run the suffix from the hook point.
// Masked positions (the first of a context, special tokens) are neither scored nor replaced.
import type { Lanes, Place } from '@mistudio/tensor'
import {
  ceScore,
  deadFraction,
  deltaCe,
  densityHistogram,
  emptySums,
  fvu,
  l0,
  type MetricSums,
  mse,
  relativeReconstructionBias,
} from './metrics.ts'
import { type ContextSource, type Forward, widthOf } from './sources.ts'
import type { SaeShape, SaeWeights } from './topk_learner/families.ts'
import { createTopKEncoder, type TopKEncoder } from './topk_learner/topk_encoder.ts'

/** Wire names: this is what `sae evaluate --json` prints. Each number says what it was counted over. */
export type Evaluation = {
  split: string
  /** Unmasked tokens behind fvu, l0, mse and dead_fraction. */
  tokens: number
  fvu: number | null
  l0: number | null
  /** Mean over tokens of the squared error summed over d_in. */
  mse: number | null
  relative_reconstruction_bias: number | null
  /** Share of latents that fired at none of `tokens`. */
  dead_fraction: number | null
  /** Latents by log₁₀ of their density over `tokens`: see metrics.ts. */
  density_histogram: number[] | null
  /** Predicted tokens behind the cross-entropies, in nats per token. */
  ce_tokens: number
  ce_clean: number | null
  ce_spliced: number | null
  ce_zero: number | null
  delta_ce: number | null
  ce_score: number | null
}

/** Losses of one context, at positions where `scored` is 1. */
export type ContextLosses = {
  context: number
  scored: Uint8Array
  clean: Float32Array
  spliced: Float32Array
  zero: Float32Array
}

/** One SAE to evaluate. */
export type EvaluateMember = {
  sae: { shape: SaeShape; k: number; weights: SaeWeights }
  hook: string
  /** Runs from the hook point to `token_loss`; `frontier` are other hook values it needs. */
  suffix: Forward & { frontier: readonly string[] }
}

export type EvaluateOptions = {
  lanes: Lanes
  saes: readonly EvaluateMember[]
  /** Captures every hook point and the suffixes' frontiers, once for all SAEs. */
  prefix: Forward
  /** Contexts of one call of all passes. */
  contextsPerCall: number
  /** Contexts are read from position 0 on: give them in random order where not all are read. */
  source: ContextSource
  split: string
  /** Tokens (masked ones included) for reconstruction; default all there are, at most 1 M. */
  maxTokens?: number
  /** Tokens (masked ones included) for cross-entropy; default 65,536. */
  maxCeTokens?: number
  onContext?: (member: number, losses: ContextLosses) => void
  /** Contexts done and in all. */
  onProgress?: (done: number, total: number) => void
  stopped?: () => boolean
}

/** Contexts of one batch, a multiple of the call size. */
const batchCalls = 8

type Running = EvaluateMember & { encoder: TopKEncoder; room: Room; sums: MetricSums; ce: CeSums }
type CeSums = { tokens: number; clean: number; spliced: number; zero: number }

/** @returns one evaluation for each SAE, in their order, with the sums behind it */
export async function evaluateSaes(options: EvaluateOptions): Promise<(Evaluation & { sums: MetricSums })[]> {
  const { lanes, prefix, contextsPerCall, source, split, onProgress, stopped } = options
  const { contextSize } = source
  const upTo = (tokens: number) => Math.min(source.contexts, Math.ceil(tokens / contextSize))
  const total = upTo(options.maxTokens ?? 1_000_000)
  const ceContexts = Math.min(total, upTo(options.maxCeTokens ?? 65_536))
  const batch = contextsPerCall * batchCalls
  const rows = batch * contextSize
  const captures = await createCaptures({ lanes, rows, prefix })
  const members: Running[] = []
  for (const member of options.saes) {
    members.push({
      ...member,
      encoder: await createTopKEncoder({ lanes, sae: member.sae }),
      room: await createRoom({ lanes, rows, dIn: member.sae.shape.dIn, k: member.sae.k }),
      sums: emptySums({ dOut: member.sae.shape.dIn, dSae: member.sae.shape.dSae }),
      ce: { tokens: 0, clean: 0, spliced: 0, zero: 0 },
    })
  }
  const mask = new Uint8Array(rows)
  try {
    for (let first = 0; first < total && !stopped?.(); first += batch) {
      const count = Math.min(batch, total - first)
      source.read({ first, count, ids: captures.ids, mask })
      await lanes.run(prefix.tasks({ contexts: count, places: captures.places }))
      const given = { mask, rows: count * contextSize }
      for (const [m, member] of members.entries()) {
        const { encoder, room, hook, suffix, sae } = member
        const x = captures.places[hook]
        const { index, value, spliced } = room.places
        await lanes.run(
          encoder.tasks({ rows: given.rows, activations: x, index, value, reconstruction: spliced }),
        )
        const values = { ...given, room, x: captures.view(hook), dIn: sae.shape.dIn }
        addReconstruction({ ...values, sums: member.sums, k: sae.k })
        if (first >= ceContexts) continue
        keepMasked(values)
        for (const [from, loss] of [
          [x, 'cleanLoss'],
          [spliced, 'splicedLoss'],
          [room.places.zero, 'zeroLoss'],
        ] as const) {
          const places = { ...captures.places, [hook]: from, token_loss: room.places[loss] }
          await lanes.run(suffix.tasks({ contexts: count, places }))
        }
        for (let c = 0; c < Math.min(count, ceContexts - first); c++) {
          const losses = contextLosses(room, mask, c, contextSize)
          addLosses(member.ce, losses)
          options.onContext?.(m, { context: first + c, ...losses })
        }
      }
      onProgress?.(first + count, total)
    }
  } finally {
    for (const { room, encoder } of members) {
      await room.close()
      await encoder.close()
    }
    await captures.close()
  }
  return members.map(member => evaluationOf(member, split))
}

function evaluationOf({ sums, ce }: Running, split: string): Evaluation & { sums: MetricSums } {
  const mean = (sum: number) => (ce.tokens === 0 ? null : sum / ce.tokens)
  const entropies = {
    clean: ce.clean / ce.tokens,
    spliced: ce.spliced / ce.tokens,
    zero: ce.zero / ce.tokens,
  }
  return {
    split,
    tokens: sums.rows,
    fvu: fvu(sums),
    l0: l0(sums),
    mse: mse(sums),
    relative_reconstruction_bias: relativeReconstructionBias(sums),
    dead_fraction: deadFraction(sums),
    density_histogram: densityHistogram(sums),
    ce_tokens: ce.tokens,
    ce_clean: mean(ce.clean),
    ce_spliced: mean(ce.spliced),
    ce_zero: mean(ce.zero),
    delta_ce: ce.tokens === 0 ? null : deltaCe(entropies),
    ce_score: ce.tokens === 0 ? null : ceScore(entropies),
    sums,
  }
}

/** Memory of the prefix's inputs and outputs for one batch. */
async function createCaptures({ lanes, rows, prefix }: { lanes: Lanes; rows: number; prefix: Forward }) {
  const { outputs } = prefix
  const wide = outputs.reduce((sum, { width }) => sum + width, 0)
  const memory = await lanes.memory({ bytes: rows * 4 * (wide + 1) + 64 * (outputs.length + 2) })
  const place = (elements: number): Place => ({ memory: memory.id, offset: memory.alloc(elements * 4) })
  const places: Record<string, Place> = { input_ids: place(rows) }
  for (const { name, width } of outputs) places[name] = place(rows * width)
  return {
    places,
    ids: memory.i32(places.input_ids.offset, rows),
    view: (name: string) => memory.f32(places[name].offset, rows * widthOf(prefix, name)),
    close: () => lanes.release(memory),
  }
}

type Room = Awaited<ReturnType<typeof createRoom>>

/** Memory of one SAE for one batch. */
async function createRoom(options: { lanes: Lanes; rows: number; dIn: number; k: number }) {
  const { lanes, rows, dIn, k } = options
  const memory = await lanes.memory({ bytes: rows * 4 * (2 * dIn + 2 * k + 3) + 64 * 8 })
  const place = (elements: number): Place => ({ memory: memory.id, offset: memory.alloc(elements * 4) })
  const places = {
    spliced: place(rows * dIn),
    zero: place(rows * dIn),
    index: place(rows * k),
    value: place(rows * k),
    cleanLoss: place(rows),
    splicedLoss: place(rows),
    zeroLoss: place(rows),
  }
  const view = ({ offset }: Place, length: number) => memory.f32(offset, length)
  return {
    places,
    spliced: view(places.spliced, rows * dIn),
    zero: view(places.zero, rows * dIn),
    index: memory.i32(places.index.offset, rows * k),
    value: view(places.value, rows * k),
    clean: view(places.cleanLoss, rows),
    splicedLoss: view(places.splicedLoss, rows),
    zeroLoss: view(places.zeroLoss, rows),
    close: () => lanes.release(memory),
  }
}

function addReconstruction(options: {
  sums: MetricSums
  room: Room
  x: Float32Array
  mask: Uint8Array
  rows: number
  dIn: number
  k: number
}): void {
  const { sums, room, x, mask, rows, dIn, k } = options
  const { spliced, index, value } = room
  for (let r = 0; r < rows; r++) {
    if (mask[r] === 0) continue
    sums.rows++
    for (let j = 0; j < dIn; j++) {
      const a = x[r * dIn + j]
      const b = spliced[r * dIn + j]
      sums.sum[j] += a
      sums.sumSquares[j] += a * a
      sums.squaredError[j] += (a - b) * (a - b)
      sums.reconstructionSquares += b * b
      sums.product += a * b
    }
    for (let i = r * k; i < (r + 1) * k; i++) {
      if (!(value[i] > 0)) continue
      sums.firing++
      sums.fired[index[i]]++
    }
  }
}

/** Puts the model's own activation back where a position is masked; the rest of `zero` stays 0. */
function keepMasked(options: {
  room: Room
  x: Float32Array
  mask: Uint8Array
  rows: number
  dIn: number
}): void {
  const { room, x, mask, rows, dIn } = options
  room.zero.fill(0)
  for (let r = 0; r < rows; r++) {
    if (mask[r] === 1) continue
    const own = x.subarray(r * dIn, (r + 1) * dIn)
    room.spliced.set(own, r * dIn)
    room.zero.set(own, r * dIn)
  }
}

/** A position is scored when it is not masked and has a next token to predict. */
function contextLosses(
  room: Room,
  mask: Uint8Array,
  c: number,
  contextSize: number,
): Omit<ContextLosses, 'context'> {
  const from = c * contextSize
  const scored = mask.slice(from, from + contextSize)
  scored[contextSize - 1] = 0
  const cut = (losses: Float32Array) => losses.slice(from, from + contextSize)
  return { scored, clean: cut(room.clean), spliced: cut(room.splicedLoss), zero: cut(room.zeroLoss) }
}

function addLosses(ce: CeSums, losses: Omit<ContextLosses, 'context'>): void {
  const { scored, clean, spliced, zero } = losses
  for (let t = 0; t < scored.length; t++) {
    if (scored[t] === 0) continue
    ce.tokens++
    ce.clean += clean[t]
    ce.spliced += spliced[t]
    ce.zero += zero[t]
  }
}

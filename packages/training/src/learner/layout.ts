// The layout of a learner's memories: what each block and the shared buffers hold, in order of allocation.

import type { Span } from '@mistudio/sae'
import { candidateBytes, settleScratchBytes, topkScratchBytes } from '@mistudio/tensor'
import type { Scoring } from '../learner.ts'
import type { Plan } from '../plan.ts'
import { chunkHitsOf, goesDense, levelRoom } from './paths.ts'
import { chunkRows, denseLatents, paddedRows, rangeLatents } from './pieces.ts'
import { gathering, rescoredCount } from './scoring.ts'

type Pair = readonly [number, number]

/** Pointers. float32 unless said otherwise. */
export type BlockLayout = {
  wEnc: number
  wDec: number
  bEnc: number
  moments: { wEnc: Pair; wDec: Pair; bEnc: Pair }
  gEnc: number
  gDec: number
  gBEnc: number
  /** uint8: latents with a gradient. */
  touched: number
  /** float64: squared norm of each latent's gradients. */
  squares: number
  /** b_dec on the block's input columns; zeros where the encoder is not centred. */
  centre: number
  zeros: number
  x: number
  xc: number
  /** One [rows, dOut] per level. */
  errors: readonly number[]
  /** The second reconstruction's errors (AuxK, gated). */
  error2: number
  /** Running sums of columns of x̂, if the block does not use the shared buffers. */
  part: number
  /** int32 [rows] of the spans of hits; `bounds[j]` splits them at level j's width. */
  from: number
  to: number
  bounds: readonly number[]
  /** int32, int32: latent and row of each hit. */
  index: number
  row: number
  /** π and f; the same memory if they are equal. */
  pre: number
  value: number
  grad: number
  grad2: number
  /** int32: lists by latent. */
  starts: number
  entries: number
  /** int32 per chunk: hits needed. */
  need: number
  limit: number
  norms: number
  threshold: number
  rMag: number
  bMag: number
  /** Coefficients by latent: penalty, pre-act loss, gradient of norms, gradient that all rows share. */
  penalty: number
  preAct: number
  normGrad: number
  outer: number
  /** Gated: exp(r_mag); int32 identity and zeros, which make the second reconstruction's hits the first's. */
  magnitude: number
  sameSlot: number
  noGrad: number
  /** int32 pairs: the norm segments inside the block's columns. */
  segments: number
  segmentCount: number
  /** float64 partial sums: of xc's columns by chunk, of W_enc rows by range. */
  inputSums: number
  latentSums: number
  inputTotal: number
  scratch: number
  worker: ScratchLayout
  /** int8 [dIn, latents] and a scale per latent: the encoder as an eight-bit product reads it. */
  screen?: { weights: number; scale: number }
  /** float32 per chunk: the largest excess of an exact score over the one that chose it. */
  above: number
  /** Dense: f and π, later its gradient, [rows, latents] in tiles of `denseLatents`; sums by latent and chunk. */
  dense?: { f: number; g: number; f2: number; columns: number; rowCount: number }
  aux?: AuxLayout
}

type AuxLayout = {
  /** int32: dead latents; slot of each latent among them. */
  deadColumns: number
  slot: number
  /** In the same order: norms (1 if scores are raw) and biases. */
  deadNorms: number
  deadBias: number
  index: number
  value: number
  grad: number
  starts: number
  entries: number
  from: number
  to: number
}

export type SharedBuffersLayout = {
  /** [rows, d_out]; the first block's x if an SAE reconstructs its input. */
  y: number
  ownTarget: boolean
  errors: readonly number[]
  error2: number
  residual: number
  running: number
  bDec: number
  /** [rows, d_out]: x W_skipᵀ + b_dec, with a skip. */
  base: number
  skip?: { w: number; g: number; moments: Pair; norms: number }
  /** float64 [rows] per level, and of the second reconstruction. */
  squared: readonly number[]
  squared2: number
  /** float64 by chunk: Σ e of level 0, of the last level and of the second; metric sums. */
  sums0: number
  sumsLast: number
  sums2: number
  columns: number
  totals: number
}

export type Cut = { lo: number; latents: number; input: Span; output: Span }

export type Sizes = {
  plan: Plan
  scoring: Scoring
  batchSize: number
  workers: number
  first: boolean
  ownTarget: boolean
} & Cut

type Room = (bytes: number) => number

/** Walks the layout with `take`, which reserves bytes: once to count them, once to place them. */
export function layOut(sizes: Sizes, take: Room): { at: BlockLayout; sharedBuffers?: SharedBuffersLayout } {
  const { plan, scoring, batchSize, workers, first, ownTarget, latents, input, output } = sizes
  const { selection, auxK } = plan
  const levels = Array.from({ length: levelRoom(plan) }, () => 0)
  const rows = paddedRows(batchSize)
  const chunks = rows / chunkRows
  const dIn = input[1] - input[0]
  const dOut = output[1] - output[0]
  const wide = plan.shape.dOut
  const f32 = (n: number) => take(n * 4)
  const f64 = (n: number) => take(n * 8)
  const pair = (n: number): Pair => [f32(n), f32(n)]
  const hits = (chunkHitsOf(plan, latents) / chunkRows) * rows
  const gated = selection.kind === 'gated'
  const second = auxK !== null || gated
  const twofold = gated && !selection.frozenDecoder
  const full = dOut === wide
  const worker = scratchLayout({ plan, scoring, latents, dIn, dOut })
  const x = f32(rows * dIn)
  const sharedBuffers: SharedBuffersLayout | undefined = !first
    ? undefined
    : {
        y: ownTarget ? f32(rows * wide) : x,
        ownTarget,
        errors: levels.map(() => f32(rows * wide)),
        error2: second ? f32(rows * wide) : 0,
        residual: auxK === null ? 0 : f32(rows * wide),
        running: f32(rows * wide),
        bDec: f32(wide),
        base: plan.skip ? f32(rows * wide) : 0,
        ...(plan.skip
          ? { skip: { w: f32(wide * dIn), g: f32(wide * dIn), moments: pair(wide * dIn), norms: f64(wide) } }
          : {}),
        squared: levels.map(() => f64(rows)),
        squared2: f64(rows),
        sums0: f64(chunks * wide),
        sumsLast: f64(chunks * wide),
        sums2: f64(chunks * wide),
        columns: f64(chunks * wide * 3),
        totals: f64(chunks * 4),
      }
  const shared = first && full
  const same = selection.kind !== 'jumprelu' && !gated
  const value = f32(hits)
  const at: BlockLayout = {
    wEnc: f32(latents * dIn),
    wDec: f32(latents * dOut),
    bEnc: f32(latents),
    moments: { wEnc: pair(latents * dIn), wDec: pair(latents * dOut), bEnc: pair(latents) },
    gEnc: f32(latents * dIn),
    gDec: f32(latents * dOut),
    gBEnc: f32(latents),
    touched: take(latents),
    squares: f64(latents),
    centre: f32(dIn),
    zeros: f32(Math.max(latents, dIn, wide)),
    x,
    xc: plan.centred ? f32(rows * dIn) : x,
    errors: shared ? sharedBuffers!.errors : levels.map(() => f32(rows * dOut)),
    error2: !second ? 0 : shared ? sharedBuffers!.error2 : f32(rows * dOut),
    part: shared ? sharedBuffers!.running : f32(rows * dOut),
    from: f32(rows),
    to: f32(rows),
    bounds: levels.length > 1 ? levels.map(() => f32(rows)) : [],
    index: f32(hits),
    row: f32(hits),
    pre: same ? value : f32(hits),
    value,
    grad: f32(hits),
    grad2: gated ? f32(hits) : 0,
    starts: f32(latents + 1),
    entries: f32(hits),
    need: f32(chunks),
    limit: f32(latents),
    norms: f32(latents),
    threshold: f32(latents),
    rMag: f32(latents),
    bMag: f32(latents),
    penalty: f32(latents),
    preAct: f32(latents),
    normGrad: f32(latents),
    outer: f32(latents),
    magnitude: gated ? f32(latents) : 0,
    sameSlot: twofold ? f32(latents) : 0,
    noGrad: twofold ? f32(hits) : 0,
    segments: f32(2 * plan.normSegments.length),
    segmentCount: 0,
    inputSums: f64(chunks * dIn),
    inputTotal: f32(dIn),
    latentSums: f64((Math.ceil(latents / rangeLatents) + levels.length) * dIn),
    worker,
    scratch: take(workers * worker.bytes),
    above: f32(chunks),
    ...(scoring === 'screened' ? { screen: { weights: take(latents * dIn), scale: f32(latents) } } : {}),
  }
  if (goesDense(plan)) {
    at.dense = {
      f: f32(rows * latents),
      g: f32(rows * latents),
      f2: twofold ? f32(rows * latents) : 0,
      columns: f32(chunks * denseColumns * latents),
      rowCount: f32(rows),
    }
  }
  if (auxK !== null) {
    const k = Math.min(auxK.kAux, latents)
    at.aux = {
      deadColumns: f32(latents),
      slot: f32(latents),
      deadNorms: f32(latents),
      deadBias: f32(latents),
      index: f32(rows * k),
      value: f32(rows * k),
      grad: f32(rows * k),
      starts: f32(latents + 1),
      entries: f32(rows * k),
      from: f32(rows),
      to: f32(rows),
    }
  }
  return { at, sharedBuffers }
}

/** Sums by latent that the dense path keeps for each chunk: see dense.ts. */
export const denseColumns = 8

/** Offsets in a worker's scratch. Dense steps use all of it for their products. */
type ScratchLayout = {
  /** [chunkRows, latents] pre-activations, then those of dead latents side by side. */
  pre: number
  dead: number
  topk: number
  /** What TopK's screen keeps of a chunk's rows from product to product. */
  candidates: number
  /** uint8 [chunkRows, dIn] and a scale per row. */
  rows8: number
  rowScale: number
  bytes: number
}

function scratchLayout(options: {
  plan: Plan
  scoring: Scoring
  latents: number
  dIn: number
  dOut: number
}): ScratchLayout {
  const { plan, scoring, latents, dIn, dOut } = options
  const { selection, auxK } = plan
  const most = mostKept(plan, latents)
  const aux = auxK === null ? 0 : Math.min(auxK.kAux, latents)
  let bytes = 0
  const take = (size: number) => {
    const at = bytes
    bytes += Math.ceil(size / 64) * 64
    return at
  }
  const matrix = chunkRows * latents * 4
  const rescored = selection.kind === 'topk' && scoring !== 'product'
  const c = rescored ? rescoredCount(most, latents) : 0
  const cap = rescored && scoring === 'screened' ? gathering(most, latents).cap : 0
  const settling = cap === 0 ? 0 : settleScratchBytes(chunkRows, latents, most, cap)
  const worker = {
    pre: take(matrix),
    dead: take(auxK === null ? 0 : matrix),
    topk: take(Math.max(topkScratchBytes(latents, Math.max(most, aux, c, 1)) + c * 4, settling)),
    candidates: take(cap === 0 ? 0 : candidateBytes(chunkRows, cap)),
    rows8: take(scoring === 'screened' ? chunkRows * dIn : 0),
    rowScale: take(scoring === 'screened' ? chunkRows * 4 : 0),
  }
  const tile = Math.min(denseLatents, latents)
  const dense = goesDense(plan) ? chunkRows * 4 * (3 * tile + 2 * dOut) : 0
  const second = selection.kind === 'gated' ? tile * dOut * 4 : 0
  return { ...worker, bytes: Math.ceil(Math.max(bytes, dense, second) / 64) * 64 + 64 }
}

/** The largest k asked of a row's top-k; BatchTopK's first guess uses twice its k. */
function mostKept({ selection }: Plan, latents: number): number {
  switch (selection.kind) {
    case 'topk':
      return Math.min(selection.mostK ?? selection.k, latents)
    case 'batchtopk':
      return Math.min(2 * (selection.mostK ?? selection.k), latents)
    default:
      return 1
  }
}

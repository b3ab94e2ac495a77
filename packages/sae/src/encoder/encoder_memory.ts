// The encoder's memory: the weights once, and for every worker scratch for one call.
import { type SharedMemory, topkScratchBytes } from '@mistudio/tensor'
import { groupRows } from '../group_rows.ts'
import type { Sae } from '../sae.ts'

export type EncoderSizes = {
  sae: Omit<Sae, 'family'>
  rowsPerCall: number
  rowsPerList: number
  workers: number
}

/** A pointer that differs from worker to worker. */
export type WorkerPointer = { base: number; stride: number }

export type EncoderLayout = ReturnType<typeof placeEncoder>

/** Whether a group of latents reads, or writes, only some of the columns. Then rows are cut out for it. */
export const splitsColumns = ({ groups }: Pick<Sae, 'groups'>) => groups.length > 1

/** Elements (4 bytes each) of a worker's scratch by name. */
function scratchElements({ sae, rowsPerCall, rowsPerList }: EncoderSizes): Record<ScratchName, number> {
  const { dIn, dSae, dOut } = sae.shape
  const groups = groupRows(sae.groups)
  const most = (of: (group: (typeof groups)[number]) => number) => Math.max(...groups.map(of))
  const split = splitsColumns(sae)
  const topk = sae.activation.kind === 'topk' ? sae.activation.k : 0
  const hits = rowsPerList * (topk || dSae)
  return {
    x: rowsPerCall * dIn,
    statistics: sae.hooks.inputs.length * rowsPerCall * 2,
    pre: rowsPerCall * dSae,
    groupX: split ? rowsPerCall * most(({ reads }) => reads) : 0,
    groupPre: split ? rowsPerCall * most(({ count }) => count) : 0,
    groupOut: split ? rowsPerList * most(({ writes }) => writes) : 0,
    middles: split ? 2 * rowsPerList : 0,
    skip: sae.weights.wSkip === undefined ? 0 : rowsPerCall * dOut,
    out: rowsPerCall * dOut,
    index: hits,
    value: hits,
    row: topk ? 0 : hits,
    starts: rowsPerList + 1,
    need: 1,
    candidates: topk ? topkScratchBytes(dSae, topk) / 4 : 0,
  }
}

type ScratchName =
  | 'x'
  | 'statistics'
  | 'pre'
  | 'groupX'
  | 'groupPre'
  | 'groupOut'
  | 'middles'
  | 'skip'
  | 'out'
  | 'index'
  | 'value'
  | 'row'
  | 'starts'
  | 'need'
  | 'candidates'

const aligned = (bytes: number) => Math.ceil(bytes / 64) * 64

function scratchBytes(sizes: EncoderSizes): number {
  return Object.values(scratchElements(sizes)).reduce((sum, elements) => sum + aligned(4 * elements), 0)
}

/** Weights and values derived from them once. */
function storedWeights({ activation, weights }: Omit<Sae, 'family'>): Record<string, Float32Array> {
  const { wEnc, bEnc, wDec, bDec, threshold, rMag, bMag, wSkip } = weights
  // What a pre-activation must exceed; ReLU(π)·H(π − θ) is the same as H(π − max(θ, 0))·π.
  const limit = new Float32Array(bEnc.length)
  if (activation.kind === 'jumprelu') limit.set(threshold!.map(value => Math.max(value, 0)))
  return {
    wEnc,
    bEnc,
    wDec,
    bDec,
    ...(activation.kind !== 'topk' && { limit }),
    ...(activation.kind === 'gated' && { er: rMag!.map(Math.exp), bMag: bMag! }),
    ...(wSkip !== undefined && { wSkip }),
  }
}

export function encoderBytes(sizes: EncoderSizes): number {
  const weights = Object.values(storedWeights(sizes.sae))
  const stored = weights.reduce((sum, values) => sum + aligned(values.byteLength), 0)
  return stored + sizes.workers * scratchBytes(sizes) + 1024
}

/** Copies the weights into the memory. @returns pointers by name */
export function placeEncoder(sizes: EncoderSizes & { memory: SharedMemory }) {
  const { memory, workers, sae } = sizes
  const weights = Object.fromEntries(
    Object.entries(storedWeights(sae)).map(([name, values]) => {
      const pointer = memory.alloc(values.byteLength)
      memory.f32(pointer, values.length).set(values)
      return [name, pointer]
    }),
  )
  const stride = scratchBytes(sizes)
  let base = memory.alloc(workers * stride)
  const scratch = {} as Record<ScratchName, WorkerPointer>
  for (const [name, elements] of Object.entries(scratchElements(sizes))) {
    scratch[name as ScratchName] = { base, stride }
    base += aligned(4 * elements)
  }
  return { weights, scratch }
}

// The steps of one encoder call: rows in, normalised and centred; pre-activations by GEMM; and for every few rows
// the list of their firing latents and the sparse decode; then the skip, undoing the normalisation, rows out.
import type { Arg, Place, Step, Task } from '@mistudio/tensor'
import { type GroupRows, groupRows, hookSpans } from '../group_rows.ts'
import type { Sae } from '../sae.ts'
import type { EncodeRequest } from './encode_request.ts'
import { type EncoderLayout, splitsColumns, type WorkerPointer } from './encoder_memory.ts'

type Call = {
  sae: Omit<Sae, 'family'>
  at: EncoderLayout
  /** The encoder's memory. */
  memory: number
  gemm: number
  rowsPerCall: number
  rowsPerList: number
  /** Whether the row normalisation is undone after the decoder. */
  restores: boolean
  request: EncodeRequest
  /** Index of the call. */
  call: number
}

const normalisationKinds = { none: 0, token_rms: 1, layer_norm: 2 } as const

const plus = (pointer: WorkerPointer, elements: number): WorkerPointer => ({
  base: pointer.base + 4 * elements,
  stride: pointer.stride,
})

const shifted = ({ memory, offset }: Place, elements: number): Place => ({
  memory,
  offset: offset + 4 * elements,
})

export function callTask(call: Call): Task {
  const { request, rowsPerCall, rowsPerList } = call
  const start = call.call * rowsPerCall
  const rows = Math.min(rowsPerCall, request.rows - start)
  const steps = [...inputSteps(call, start, rows), ...preActivationSteps(call, rows)]
  for (let from = 0; from < rows; from += rowsPerList) {
    const list = { from, rows: Math.min(rowsPerList, rows - from) }
    steps.push(...selectionSteps(call, list))
    if (request.hits !== undefined) steps.push(...hitSteps(call, list))
    if (request.reconstruction !== undefined) steps.push(...decodeSteps(call, list))
  }
  return request.reconstruction === undefined ? steps : [...steps, ...outputSteps(call, start, rows)]
}

function kernel({ memory }: Call, name: string, ...args: Arg[]): Step {
  return { kernel: name, memory, args }
}

/** y = a bᵀ; always on all rows of a call. */
function product(
  call: Call,
  a: WorkerPointer,
  b: number,
  y: WorkerPointer,
  [rows, inner, columns]: number[],
): Step {
  const { memory, gemm } = call
  const view = (offset: Arg, shape: number[]) => ({ memory, offset, dtype: 'float32' as const, shape })
  return {
    session: gemm,
    inputs: { a: view(a, [rows, inner]), b: view(b, [columns, inner]) },
    outputs: { y: view(y, [rows, columns]) },
  }
}

/** The concatenated columns of all hook points, normalised by row. */
function inputSteps(call: Call, start: number, rows: number): Step[] {
  const { sae, at, memory, request } = call
  const { dIn } = sae.shape
  const { x, statistics } = at.scratch
  const kind = normalisationKinds[sae.normalisation]
  return hookSpans(sae.hooks.inputs).flatMap(([from, to], hook): Step[] => {
    const width = to - from
    const place = plus(x, from)
    const steps: Step[] = [
      {
        copy: {
          from: shifted(request.inputs[hook], start * width),
          to: { memory, offset: place },
          count: rows,
          width,
          toStride: dIn,
        },
      },
    ]
    if (kind !== 0) {
      const kept = plus(statistics, hook * call.rowsPerCall * 2)
      steps.push(kernel(call, 'normaliseSpan', place, rows, dIn, width, kind, kept))
    }
    return steps
  })
}

function preActivationSteps(call: Call, rows: number): Step[] {
  const { sae, at, memory, rowsPerCall, request } = call
  const { dIn, dSae, dOut } = sae.shape
  const { x, pre, groupX, groupPre, skip } = at.scratch
  const { wEnc, bDec, wSkip } = at.weights
  const steps: Step[] = []
  // W_skip reads x before b_dec is subtracted.
  if (wSkip !== undefined && request.reconstruction !== undefined) {
    steps.push(product(call, x, wSkip, skip, [rowsPerCall, dIn, dOut]))
  }
  if (sae.centred) steps.push(kernel(call, 'centreRows', x, bDec, rows, dIn, x))
  if (!splitsColumns(sae)) return [...steps, product(call, x, wEnc, pre, [rowsPerCall, dIn, dSae])]
  for (const { latents, input, reads, count, encoderAt } of groupRows(sae.groups)) {
    steps.push(
      {
        copy: {
          from: { memory, offset: plus(x, input[0]) },
          to: { memory, offset: groupX },
          count: rows,
          width: reads,
          fromStride: dIn,
        },
      },
      product(call, groupX, wEnc + 4 * encoderAt, groupPre, [rowsPerCall, reads, count]),
      {
        copy: {
          from: { memory, offset: groupPre },
          to: { memory, offset: plus(pre, latents[0]) },
          count: rows,
          width: count,
          toStride: dSae,
        },
      },
    )
  }
  return steps
}

type ListRows = { from: number; rows: number }

/** Lists of the latents that fire in a few rows, without gaps. */
function selectionSteps(call: Call, { from, rows }: ListRows): Step[] {
  const { sae, at, rowsPerList } = call
  const { dSae } = sae.shape
  const { pre, index, value, row, starts, need, candidates } = at.scratch
  const { bEnc, limit, er, bMag } = at.weights
  const here = plus(pre, from * dSae)
  const { activation } = sae
  if (activation.kind === 'topk') {
    return [
      kernel(call, 'topkRows', here, dSae, rows, dSae, bEnc, activation.k, 1, index, value, candidates),
      kernel(call, 'packRows', index, value, rows, activation.k, starts),
    ]
  }
  // A row's end is the next one's start.
  const collect = [0, 0, rowsPerList * dSae, index, value, row, starts, plus(starts, 1), need]
  const steps = [kernel(call, 'collectAbove', here, dSae, rows, dSae, bEnc, limit, ...collect)]
  if (activation.kind === 'gated') {
    steps.push(kernel(call, 'gateSpans', here, dSae, rows, er, bMag, starts, index, value))
  }
  return steps
}

/** Copies a list to its room, up to the capacity; its starts show whether that was all. */
function hitSteps(call: Call, { from, rows }: ListRows): Step[] {
  const { at, memory, request, rowsPerCall, rowsPerList } = call
  const room = request.hits!
  const { index, value, starts } = at.scratch
  const place = room.places(call.call * Math.ceil(rowsPerCall / rowsPerList) + from / rowsPerList)
  const copy = (offset: WorkerPointer, to: Place, width: number): Step => ({
    copy: { from: { memory, offset }, to, count: 1, width },
  })
  return [
    copy(index, place.index, room.capacity),
    copy(value, place.value, room.capacity),
    copy(starts, place.starts, rows + 1),
  ]
}

function decodeSteps(call: Call, { from, rows }: ListRows): Step[] {
  const { sae, at, memory } = call
  const { dOut } = sae.shape
  const { out, groupOut, index, value, starts, middles } = at.scratch
  const { wDec, bDec } = at.weights
  const target = plus(out, from * dOut)
  const ends = plus(starts, 1)
  if (!splitsColumns(sae)) {
    return [kernel(call, 'decodeLists', index, value, starts, ends, rows, wDec, dOut, bDec, 0, target)]
  }
  // Empty spans: every row begins as b_dec; then each group adds to the columns that it writes.
  const steps = [kernel(call, 'decodeLists', index, value, starts, starts, rows, wDec, dOut, bDec, 0, target)]
  const groups = groupRows(sae.groups)
  let begins = starts
  groups.forEach((group: GroupRows, g) => {
    const { latents, output, writes, decoderAt } = group
    const middle = plus(middles, (g % 2) * call.rowsPerList)
    const columns = { memory, offset: plus(target, output[0]) }
    const own = { memory, offset: groupOut }
    // Latents are counted from the first of all, rows of W_dec from the group's first; pointers wrap at 2³².
    const rowsAt = wDec + 4 * (decoderAt - latents[0] * writes)
    steps.push(
      kernel(call, 'splitRows', index, begins, ends, rows, latents[1], middle),
      { copy: { from: columns, to: own, count: rows, width: writes, fromStride: dOut } },
      kernel(
        call,
        'decodeLists',
        index,
        value,
        begins,
        middle,
        rows,
        rowsAt,
        writes,
        groupOut,
        writes,
        groupOut,
      ),
      { copy: { from: own, to: columns, count: rows, width: writes, toStride: dOut } },
    )
    begins = middle
  })
  return steps
}

function outputSteps(call: Call, start: number, rows: number): Step[] {
  const { sae, at, memory, request, restores } = call
  const { dOut } = sae.shape
  const { out, skip, statistics } = at.scratch
  const steps: Step[] = []
  if (sae.weights.wSkip !== undefined) steps.push(kernel(call, 'addRange', out, skip, rows * dOut))
  hookSpans(sae.hooks.outputs).forEach(([from, to], hook) => {
    const width = to - from
    const place = plus(out, from)
    if (restores && sae.normalisation !== 'none') {
      const kept = plus(statistics, hook * call.rowsPerCall * 2)
      steps.push(kernel(call, 'restoreSpan', place, rows, dOut, width, kept))
    }
    steps.push({
      copy: {
        from: { memory, offset: place },
        to: shifted(request.reconstruction![hook], start * width),
        count: rows,
        width,
        fromStride: dOut,
      },
    })
  })
  return steps
}

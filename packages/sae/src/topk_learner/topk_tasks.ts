// The tasks of each phase of a TopK step over one block of latents: what the lanes run, in which fixed pieces.
import type { Arg, Step, Task } from '@mistudio/tensor'
import type { BatchSource } from './families.ts'
import { type Block, chunkRows, pieces, rangeLatents } from './topk_block.ts'

const call = (block: Block, kernel: string, ...args: Arg[]): Step => ({
  kernel,
  memory: block.memory.id,
  args,
})

/** Phase 1: gather rows into the block, scale, subtract b_dec. */
export function loadTasks(
  block: Block,
  options: { batch: BatchSource; dIn: number; batchSize: number },
): Task[] {
  const { batch, dIn, batchSize } = options
  const { at, memory } = block
  return pieces(batchSize, chunkRows).map(({ start, length }) => {
    const x = at.x + start * dIn * 4
    const steps: Step[] = [
      {
        copy: {
          from: batch.activations,
          to: { memory: memory.id, offset: x },
          rows: { memory: batch.rows.memory, offset: batch.rows.offset + start * 4 },
          count: length,
          width: dIn,
        },
      },
    ]
    if (batch.scale !== 1) steps.push(call(block, 'scaleRange', x, length * dIn, batch.scale))
    steps.push(call(block, 'centreRows', x, at.bDec, length, dIn, at.xc + start * dIn * 4))
    return steps
  })
}

/**
 * Phase 2: pre-activations of a chunk by GEMM into the lane's scratch, then its top k; with dead latents their
 * columns of the same pre-activations give AuxK's selection.
 */
export function encodeTasks(
  block: Block,
  options: {
    gemm: number
    dIn: number
    k: number
    batchSize: number
    aux?: { dead: number; kAux: number; relu: boolean }
  },
): Task[] {
  const { gemm, dIn, k, batchSize, aux } = options
  const { at, memory, latents } = block
  const scratch = (offset: number) => ({ base: at.scratch + offset, stride: at.scratchBytes })
  const pre = scratch(0)
  const deadPre = scratch(chunkRows * latents * 4)
  const candidates = scratch(2 * chunkRows * latents * 4)
  return pieces(batchSize, chunkRows).map(({ start, length }) => {
    const steps: Step[] = [
      {
        session: gemm,
        inputs: {
          a: {
            memory: memory.id,
            offset: at.xc + start * dIn * 4,
            dtype: 'float32',
            shape: [chunkRows, dIn],
          },
          b: { memory: memory.id, offset: at.wEnc, dtype: 'float32', shape: [latents, dIn] },
        },
        outputs: { y: { memory: memory.id, offset: pre, dtype: 'float32', shape: [chunkRows, latents] } },
      },
      call(
        block,
        'topkRows',
        pre,
        latents,
        length,
        latents,
        at.bEnc,
        k,
        1,
        at.index + start * k * 4,
        at.value + start * k * 4,
        candidates,
      ),
    ]
    if (aux !== undefined && aux.dead > 0) {
      const place = at.aux!
      const { dead, kAux, relu } = aux
      steps.push(
        call(block, 'gatherColumns', pre, latents, length, at.bEnc, at.deadColumns, dead, deadPre),
        call(
          block,
          'topkRows',
          deadPre,
          dead,
          length,
          dead,
          0,
          kAux,
          relu ? 1 : 0,
          place.index + start * kAux * 4,
          place.value + start * kAux * 4,
          candidates,
        ),
      )
    }
    return steps
  })
}

/** Lists of hits by latent, for the main selection and for AuxK's. */
export function listTasks(
  block: Block,
  options: { k: number; batchSize: number; aux?: { dead: number; kAux: number } },
): Task[] {
  const { k, batchSize, aux } = options
  const { at, latents } = block
  const tasks: Task[] = [
    [
      call(block, 'buildLists', at.index, at.value, batchSize * k, latents, 1, at.starts, at.entries),
      call(block, 'markFired', at.index, at.value, batchSize * k, at.fired),
    ],
  ]
  if (aux !== undefined && aux.dead > 0) {
    const place = at.aux!
    tasks.push([
      call(
        block,
        'buildLists',
        place.index,
        place.value,
        batchSize * aux.kAux,
        aux.dead,
        1,
        place.starts,
        place.entries,
      ),
    ])
  }
  return tasks
}

/** Gradients of both matrices and b_enc for fixed ranges of latents, with their squared norms. */
export function gradientTasks(
  block: Block,
  options: { dIn: number; k: number; scale: number; aux?: { dead: number; kAux: number; scale: number } },
): Task[] {
  const { dIn, k, scale, aux } = options
  const { at, latents } = block
  const withAux = aux !== undefined && aux.dead > 0
  const place = at.aux
  return pieces(latents, rangeLatents).map(({ start, length }, range) => [
    call(
      block,
      'weightGrads',
      start,
      start + length,
      at.starts,
      at.entries,
      0,
      k,
      at.value,
      at.grad,
      at.error,
      scale,
      withAux ? at.auxSlot : 0,
      withAux ? place!.starts : 0,
      withAux ? place!.entries : 0,
      0,
      withAux ? aux.kAux : 1,
      withAux ? place!.value : 0,
      withAux ? place!.grad : 0,
      withAux ? place!.error : 0,
      withAux ? aux.scale : 0,
      at.xc,
      dIn,
      dIn,
      at.wDec,
      at.gDec,
      at.gEnc,
      at.gBEnc,
      at.touched,
      at.squares,
    ),
    call(
      block,
      'weightedRowSum',
      at.wEnc,
      at.gBEnc,
      start,
      start + length,
      dIn,
      at.latentSums + range * dIn * 8,
    ),
  ])
}

/** Adam on a fixed range of latents: dense, every row, every step. */
export function adamTasks(
  block: Block,
  options: {
    dIn: number
    learningRate: number
    beta1: number
    beta2: number
    epsilon: number
    correction1: number
    correction2: number
    clipScale: number
  },
): Task[] {
  const { dIn, learningRate, beta1, beta2, epsilon, correction1, correction2, clipScale } = options
  const { at, latents } = block
  const rates = [learningRate, beta1, beta2, epsilon, correction1, correction2, clipScale]
  return pieces(latents, rangeLatents).map(({ start, length }) => {
    const end = start + length
    return [
      call(block, 'adamRows', at.wDec, at.gDec, ...at.moments.wDec, at.touched, start, end, dIn, ...rates, 1),
      call(block, 'adamRows', at.wEnc, at.gEnc, ...at.moments.wEnc, at.touched, start, end, dIn, ...rates, 0),
      call(block, 'adamRows', at.bEnc, at.gBEnc, ...at.moments.bEnc, at.touched, start, end, 1, ...rates, 0),
    ]
  })
}

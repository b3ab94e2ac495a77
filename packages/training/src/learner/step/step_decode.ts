// The second phase: the reconstruction and its errors, those of AuxK or of the gates, and the sums behind the metrics.
import type { Step, Task } from '@mistudio/tensor'
import { decodeAux } from '../aux.ts'
import { listed, type Reconstruction, reconstructionTasks, sumChunks } from '../decode.ts'
import { type Engine, levelsKey, runAll, runKept, sumOf } from '../engine.ts'
import { call, chunkRows, pieces } from '../pieces.ts'
import { denseContribution, denseGateContribution } from './dense.ts'
import { measure, prepareBackward, throughHits } from './step_backward.ts'

function reconstruction(e: Engine): Omit<Reconstruction, 'contribution'> {
  const { pool, batchSize, blocks, sharedBuffers } = e
  const s = e.step
  const { dOut } = e.plan.shape
  return {
    pool,
    blocks,
    sharedBuffers,
    dOut,
    batchSize,
    init: sharedBuffers.skip === undefined ? sharedBuffers.bDec : sharedBuffers.base,
    initStride: sharedBuffers.skip === undefined ? 0 : dOut,
    target: sharedBuffers.y,
    levels: s.levels,
    errors: sharedBuffers.errors,
    squared: sharedBuffers.squared,
    errorsOf: ({ at }) => at.errors,
  }
}

export async function decode(e: Engine): Promise<void> {
  const { pool, plan, batchSize, blocks, sharedBuffers, products } = e
  const s = e.step
  const { dOut } = e.plan.shape
  const { selection } = e.plan
  prepareBackward(e)
  if (sharedBuffers.skip !== undefined) await addSkip(e)
  if (!s.dense && s.levels.length > 1) await splitAtLevels(e)
  const last = s.levels.length - 1
  const raw = (piece: { start: number; length: number }): Step[] => {
    const { start, length } = piece
    const chunk = start / chunkRows
    const e = sharedBuffers.errors[last] + start * dOut * 4
    const home = (kernel: string, ...args: number[]) => call(sharedBuffers.memory, kernel, ...args)
    const steps = [
      home(
        'reconstructionSums',
        sharedBuffers.y + start * dOut * 4,
        e,
        length,
        dOut,
        1,
        sharedBuffers.columns + chunk * dOut * 24,
        sharedBuffers.totals + chunk * 32,
      ),
      home('columnSums', e, length, dOut, 1, sharedBuffers.sumsLast + chunk * dOut * 8),
    ]
    if (s.aux !== undefined) {
      const place = (offset: number) => ({ memory: sharedBuffers.memory.id, offset })
      const residual = sharedBuffers.residual + start * dOut * 4
      steps.push(home('scaleRange', residual, length * dOut, -1))
      steps.splice(2, 0, {
        copy: { from: place(e), to: place(residual), count: length, width: dOut },
      } as never)
    }
    return steps
  }
  const finish = ({ start, length }: { start: number; length: number }): Step[] => [
    call(
      sharedBuffers.memory,
      'columnSums',
      sharedBuffers.errors[0] + start * dOut * 4,
      length,
      dOut,
      1,
      sharedBuffers.sums0 + (start / chunkRows) * dOut * 8,
    ),
  ]
  const back = {
    plan,
    products,
    batchSize,
    rates: () => s.rates,
    p: () => s.dynamics.p,
    preAct: plan.preAct !== null,
  }
  const contribution = s.dense
    ? denseContribution(back)
    : listed(({ at }) => ({ ...at, bounds: s.levels.length > 1 ? at.bounds : [] }))
  // What a dense step does to its errors goes by this step's rates.
  const key = s.dense || s.aux !== undefined ? undefined : `decode ${levelsKey(s.levels)}`
  await runKept(e, key, () =>
    reconstructionTasks({ ...reconstruction(e), contribution, measure: raw, finish }),
  )
  const squaredError = sumOf(sharedBuffers.memory.f64(sharedBuffers.squared[last], batchSize))
  let gateAux = 0
  if (selection.kind === 'gated') gateAux = await decodeGate(e, back)
  let auxTerm = 0
  if (s.aux !== undefined && plan.auxK !== null) {
    auxTerm = await decodeAux({
      pool,
      plan,
      auxK: plan.auxK,
      blocks,
      sharedBuffers,
      batchSize,
      aux: s.aux,
      squaredError,
    })
  }
  if (plan.preAct !== null && !s.dense) await sumInputs(e)
  readSums(e)
  const preAct = throughHits(e)
  measure(e, { squaredError, aux: auxTerm, gateAux, preAct })
}

/** x W_skipᵀ + b_dec, the initial value of the reconstruction. */
async function addSkip(e: Engine): Promise<void> {
  const { pool, batchSize, blocks, sharedBuffers, products } = e
  const { dIn, dOut } = e.plan.shape
  const { w } = sharedBuffers.skip!
  const [{ at }] = blocks
  await pool.run(
    pieces(batchSize, chunkRows).map(
      ({ start }): Task => [
        products.affine(
          sharedBuffers.memory,
          { offset: at.x + start * dIn * 4, rows: chunkRows, columns: dIn },
          { offset: w, rows: dOut, columns: dIn },
          sharedBuffers.bDec,
          sharedBuffers.base + start * dOut * 4,
        ),
      ],
    ),
  )
}

async function splitAtLevels(e: Engine): Promise<void> {
  const { batchSize } = e
  const s = e.step
  await runAll(e, ({ memory: home, at, lo, latents }) =>
    pieces(batchSize, chunkRows).map(
      ({ start, length }): Task =>
        s.levels.map(({ width }, level) => {
          const limit = Math.min(Math.max(width - lo, 0), latents)
          const spans = [at.from + start * 4, at.to + start * 4]
          return call(home, 'splitRows', at.index, ...spans, length, limit, at.bounds[level] + start * 4)
        }),
    ),
  )
}

/** Gated's auxiliary reconstruction ReLU(π) W_dec + b_dec. @returns its loss */
async function decodeGate(e: Engine, back: Parameters<typeof denseGateContribution>[0]): Promise<number> {
  const { pool, batchSize, sharedBuffers } = e
  const s = e.step
  const { dSae, dOut } = e.plan.shape
  await pool.run(
    reconstructionTasks({
      ...reconstruction(e),
      init: sharedBuffers.bDec,
      initStride: 0,
      levels: [{ width: dSae, weight: 1 }],
      errors: [sharedBuffers.error2],
      squared: [sharedBuffers.squared2],
      errorsOf: ({ at }) => [at.error2],
      contribution: s.dense
        ? denseGateContribution(back)
        : listed(({ at }) => ({ ...at, value: at.pre, grad: at.grad2, bounds: [] })),
      finish: ({ start, length }) => [
        call(
          sharedBuffers.memory,
          'columnSums',
          sharedBuffers.error2 + start * dOut * 4,
          length,
          dOut,
          1,
          sharedBuffers.sums2 + (start / chunkRows) * dOut * 8,
        ),
      ],
    }),
  )
  return sumOf(sharedBuffers.memory.f64(sharedBuffers.squared2, batchSize)) / batchSize
}

/** The mean of xc over the batch, for gradients that all rows share. */
async function sumInputs(e: Engine): Promise<void> {
  const { batchSize, blocks } = e
  await runAll(e, ({ memory: home, at, dIn: width }) =>
    pieces(batchSize, chunkRows).map(
      ({ start, length }, c): Task => [
        call(
          home,
          'columnSums',
          at.xc + start * width * 4,
          length,
          width,
          1 / batchSize,
          at.inputSums + c * width * 8,
        ),
      ],
    ),
  )
  for (const { memory: home, at, dIn: width } of blocks) {
    const chunks = Math.ceil(batchSize / chunkRows)
    home.f32(at.inputTotal, width).set(sumChunks(home.f64(at.inputSums, chunks * width), width))
  }
}

function readSums(e: Engine): void {
  const { batchSize, sharedBuffers } = e
  const s = e.step
  const { dOut } = e.plan.shape
  const chunks = Math.ceil(batchSize / chunkRows)
  s.errorColumns = sumChunks(sharedBuffers.memory.f64(sharedBuffers.columns, chunks * dOut * 3), dOut * 3)
  s.totals = sumChunks(
    sharedBuffers.memory.f64(sharedBuffers.totals, chunks * 4),
    4,
  ) as Float64Array<ArrayBuffer>
}

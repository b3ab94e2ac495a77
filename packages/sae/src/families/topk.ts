// TopK SAEs (Gao et al. 2024, arXiv 2406.04093): the family and its learner on the compute lanes.
// Decoder rows have unit norm: the parallel part of their gradient is removed and they are renormalised after
// each step (as dictionary_learning's TopKTrainer); b_dec starts at the geometric median, W_enc tied to W_dec.
// The oracle of every formula here is topk_oracle.ts.
import { gemmGraph, type Lanes, memoryLimitBytes, type Task } from '@mistudio/tensor'
import type {
  BatchSource,
  Family,
  Learner,
  LearnerOptions,
  LearnerState,
  SaeShape,
  SaeWeights,
  StepLoss,
} from '../families.ts'
import { geometricMedian } from './geometric_median.ts'
import {
  auxLayout,
  type Block,
  blockBytes,
  chunkRows,
  createBlock,
  pieces,
  rangeLatents,
} from './topk_block.ts'
import { type TopKConfig, topkConfig } from './topk_config.ts'
import { decodeSelection, keepLargest, type Selection } from './topk_join.ts'
import { auxScale, topkForward } from './topk_oracle.ts'
import { joinedWeights, restoreTopk, topkState } from './topk_state.ts'
import { adamTasks, encodeTasks, gradientTasks, listTasks, loadTasks } from './topk_tasks.ts'
import { initialWeights } from './topk_weights.ts'

const beta1 = 0.9
const beta2 = 0.999
const epsilon = 1e-8

export const topk: Family<TopKConfig> = {
  name: 'topk',
  config: topkConfig,
  learner: createTopKLearner,
  infer({ weights, shape, config, x }) {
    const wide = {
      wEnc: Float64Array.from(weights.wEnc),
      bEnc: Float64Array.from(weights.bEnc),
      wDec: Float64Array.from(weights.wDec),
      bDec: Float64Array.from(weights.bDec),
    }
    const { featureActs, reconstruction } = topkForward({ weights: wide, shape, config, x })
    return { featureActs, reconstruction }
  },
}

/** The most latents of a block whose memory stays under 4 GiB. */
function latentsThatFit(
  lanes: Lanes,
  { dIn, dSae }: SaeShape,
  config: TopKConfig,
  batchSize: number,
): number {
  const sizes = { dIn, k: config.k, kAux: config.kAux, batchSize, lanes: lanes.count }
  let blocks = 1
  while (blockBytes({ ...sizes, latents: Math.ceil(dSae / blocks) }) > memoryLimitBytes) blocks++
  return Math.ceil(dSae / blocks)
}

export async function createTopKLearner(options: LearnerOptions<TopKConfig>): Promise<Learner> {
  const { lanes, shape, config, batchSize, seed } = options
  const { dIn, dSae } = shape
  const { k } = config
  const perBlock = options.latentsPerBlock ?? latentsThatFit(lanes, shape, config, batchSize)
  const gemm = await lanes.session({ graph: gemmGraph() })
  const blocks: Block[] = []
  for (const { start, length } of pieces(dSae, perBlock)) {
    const sizes = {
      dIn,
      latents: length,
      k: Math.min(k, length),
      kAux: config.kAux,
      batchSize,
      lanes: lanes.count,
    }
    blocks.push(await createBlock({ ...sizes, lo: start, pool: lanes }))
  }
  const [first] = blocks
  const kOf = (block: Block) => Math.min(k, block.latents)
  const bDec = new Float32Array(dIn)
  const bDecMoments = [new Float32Array(dIn), new Float32Array(dIn)]
  const bDecGradient = new Float64Array(dIn)
  const tokensSinceFired = new Float64Array(dSae)
  let tokensSeen = 0
  let steps = 0
  let current: StepLoss & { squaredError: number; firing: number } = {
    loss: 0,
    mse: 0,
    aux: 0,
    l0: 0,
    deadLatents: null,
    squaredError: 0,
    firing: 0,
  }
  /** AuxK of the running step: dead latents a block (kAux ≤ dead) and the weight of its error. */
  let aux: { perBlock: { dead: number; kAux: number; relu: boolean }[]; scale: number } | undefined

  const all = (tasksOf: (block: Block) => Task[]) => lanes.run(blocks.flatMap(tasksOf))
  const spreadBDec = () => {
    for (const { memory, at } of blocks) memory.f32(at.bDec, dIn).set(bDec)
  }
  set(options.weights ?? initialWeights({ shape, seed }))

  function set(weights: SaeWeights): void {
    for (const { memory, at, lo, latents } of blocks) {
      const cut = (from: Float32Array, width: number) => from.subarray(lo * width, (lo + latents) * width)
      memory.f32(at.wEnc, latents * dIn).set(cut(weights.wEnc, dIn))
      memory.f32(at.wDec, latents * dIn).set(cut(weights.wDec, dIn))
      memory.f32(at.bEnc, latents).set(cut(weights.bEnc, 1))
    }
    bDec.set(weights.bDec)
    spreadBDec()
  }

  /** Which latents are dead now; null while fewer tokens were seen than the window. */
  function countDead(): number | null {
    if (tokensSeen < config.deadAfterTokens) return null
    return tokensSinceFired.reduce((sum, tokens) => sum + (tokens >= config.deadAfterTokens ? 1 : 0), 0)
  }

  /** Writes each block's dead columns and their slots. @returns the dead latents of each block. */
  function listDead(): number[] {
    return blocks.map(({ memory, at, lo, latents }) => {
      const columns = memory.i32(at.deadColumns, latents)
      const slots = memory.i32(at.auxSlot, latents).fill(-1)
      let n = 0
      for (let i = 0; i < latents; i++) {
        if (tokensSinceFired[lo + i] < config.deadAfterTokens) continue
        columns[n] = i
        slots[i] = n++
      }
      return n
    })
  }

  async function encode(): Promise<void> {
    aux = undefined
    const deadTotal = config.auxCoefficient > 0 ? (countDead() ?? 0) : 0
    if (deadTotal > 0) {
      const most = Math.min(config.kAux, deadTotal)
      const perBlockDead = listDead().map(dead => ({
        dead,
        kAux: Math.min(most, dead),
        relu: config.auxRelu,
      }))
      for (const block of blocks) auxLayout(block, { dIn, kAux: config.kAux, batchSize })
      aux = { perBlock: perBlockDead, scale: 0 }
    }
    await lanes.run(
      blocks.flatMap((block, b) =>
        encodeTasks(block, { gemm, dIn, k: kOf(block), batchSize, aux: aux?.perBlock[b] }),
      ),
    )
    if (blocks.length === 1) return
    keepLargest({ rows: batchSize, keep: k, parts: blocks.map(b => mainSelection(b)) })
    if (aux !== undefined) {
      const parts = blocks.map((block, b) => auxSelection(block, b)).filter(part => part.k > 0)
      keepLargest({ rows: batchSize, keep: Math.min(config.kAux, deadTotal), parts })
    }
  }

  function mainSelection(block: Block): Selection {
    const { at } = block
    return {
      block,
      k: kOf(block),
      index: at.index,
      value: at.value,
      grad: at.grad,
      wDec: at.wDec,
      bias: block === first ? at.bDec : at.zeros,
      target: at.x,
      error: at.error,
      squaredError: at.squaredError,
      scale: 2 / batchSize,
      relu: true,
    }
  }

  function auxSelection(block: Block, b: number): Selection {
    const place = block.at.aux!
    return {
      block,
      k: aux!.perBlock[b].kAux,
      index: place.index,
      value: place.value,
      grad: place.grad,
      // The compact matrix of dead rows lies in the gradient's room, which is written only later.
      wDec: block.at.gDec,
      bias: block.at.zeros,
      target: place.residual,
      error: place.error,
      squaredError: place.squaredError,
      scale: aux!.scale,
      relu: config.auxRelu,
    }
  }

  async function decode(): Promise<void> {
    await decodeSelection({
      lanes,
      dIn,
      batchSize,
      parts: blocks.map(mainSelection),
      columnSums: first.at.columnSums,
    })
    let squaredError = 0
    for (const value of first.memory.f64(first.at.squaredError, batchSize)) squaredError += value
    let firing = 0
    for (const block of blocks) {
      for (const value of block.memory.f32(block.at.value, batchSize * kOf(block))) if (value > 0) firing++
    }
    const mse = squaredError / batchSize
    const auxLoss = aux === undefined ? 0 : await decodeAux(squaredError)
    current = {
      mse,
      aux: auxLoss,
      loss: mse + config.auxCoefficient * auxLoss,
      l0: firing / batchSize,
      deadLatents: countDead(),
      squaredError,
      firing,
    }
  }

  /** AuxK: the dead latents' best reconstruction of the residual r = x − x̂. @returns its normalised loss. */
  async function decodeAux(squaredError: number): Promise<number> {
    const dead = aux!.perBlock.reduce((sum, part) => sum + part.dead, 0)
    let denominator = 1
    if (config.auxNormalisation === 'variance') {
      const sums = columnSums()
      let meanSquare = 0
      for (const sum of sums) meanSquare += (sum / batchSize) ** 2
      denominator = squaredError / batchSize - meanSquare
    }
    // nan_to_num of dictionary_learning: a residual without variance gives no auxiliary signal.
    if (!(denominator > 0)) denominator = Number.POSITIVE_INFINITY
    const shared = auxScale(config, dead) / denominator
    aux!.scale = (config.auxCoefficient * shared * 2) / batchSize
    await all(({ memory, at, latents }) => {
      const place = at.aux!
      const n = aux!.perBlock[blocks.findIndex(block => block.memory === memory)].dead
      const id = memory.id
      const compact = pieces(n, rangeLatents).map(
        ({ start, length }): Task => [
          {
            copy: {
              from: { memory: id, offset: at.wDec },
              to: { memory: id, offset: at.gDec + start * dIn * 4 },
              rows: { memory: id, offset: at.deadColumns + start * 4 },
              count: Math.min(length, latents),
              width: dIn,
            },
          },
        ],
      )
      const residuals = pieces(batchSize, chunkRows).map(({ start, length }): Task => {
        const offset = start * dIn * 4
        return [
          {
            copy: {
              from: { memory: id, offset: at.error + offset },
              to: { memory: id, offset: place.residual + offset },
              count: length,
              width: dIn,
            },
          },
          { kernel: 'scaleRange', memory: id, args: [place.residual + offset, length * dIn, -1] },
        ]
      })
      return [...compact, ...residuals]
    })
    await decodeSelection({ lanes, dIn, batchSize, parts: blocks.map((block, b) => auxSelection(block, b)) })
    let squared = 0
    for (const value of first.memory.f64(first.at.aux!.squaredError, batchSize)) squared += value
    return (squared / batchSize) * shared
  }

  function columnSums(): Float64Array {
    const chunks = Math.ceil(batchSize / chunkRows)
    const partial = first.memory.f64(first.at.columnSums, chunks * dIn)
    const sums = new Float64Array(dIn)
    for (let c = 0; c < chunks; c++) for (let j = 0; j < dIn; j++) sums[j] += partial[c * dIn + j]
    return sums
  }

  async function gradients(): Promise<number> {
    await lanes.run(
      blocks.flatMap((block, b) => listTasks(block, { k: kOf(block), batchSize, aux: aux?.perBlock[b] })),
    )
    await lanes.run(
      blocks.flatMap((block, b) => {
        const part = aux && { ...aux.perBlock[b], scale: aux.scale }
        return gradientTasks(block, { dIn, k: kOf(block), scale: 2 / batchSize, aux: part })
      }),
    )
    // dL/db_dec = Σ dL/dx̂ − Σ_i (dL/dπ_i) · W_enc,i, since the encoder reads x − b_dec.
    const sums = columnSums()
    for (let j = 0; j < dIn; j++) bDecGradient[j] = (2 / batchSize) * sums[j]
    let squares = 0
    for (const { memory, at, latents } of blocks) {
      const count = Math.ceil(latents / rangeLatents)
      const partial = memory.f64(at.latentSums, count * dIn)
      for (let r = 0; r < count; r++) for (let j = 0; j < dIn; j++) bDecGradient[j] -= partial[r * dIn + j]
      for (const value of memory.f64(at.squares, latents)) squares += value
    }
    for (const value of bDecGradient) squares += value * value
    return Math.sqrt(squares)
  }

  async function update({
    learningRate,
    clipScale,
  }: {
    learningRate: number
    clipScale: number
  }): Promise<void> {
    steps++
    const correction1 = 1 - beta1 ** steps
    const correction2 = 1 - beta2 ** steps
    const rates = { dIn, learningRate, beta1, beta2, epsilon, correction1, correction2, clipScale }
    await all(block => adamTasks(block, rates))
    const [m, v] = bDecMoments
    for (let j = 0; j < dIn; j++) {
      const g = bDecGradient[j] * clipScale
      m[j] = beta1 * m[j] + (1 - beta1) * g
      v[j] = beta2 * v[j] + (1 - beta2) * g * g
      bDec[j] -= ((learningRate / correction1) * m[j]) / (Math.sqrt(v[j] / correction2) + epsilon)
    }
    spreadBDec()
  }

  async function afterStep(): Promise<void> {
    tokensSeen += batchSize
    for (const { memory, at, lo, latents } of blocks) {
      const fired = memory.u8(at.fired, latents)
      for (let i = 0; i < latents; i++) {
        tokensSinceFired[lo + i] = fired[i] === 1 ? 0 : tokensSinceFired[lo + i] + batchSize
      }
      fired.fill(0)
    }
  }

  const load = (batch: BatchSource) => all(block => loadTasks(block, { batch, dIn, batchSize }))

  async function initialise(batch: BatchSource): Promise<void> {
    await load(batch)
    bDec.set(await geometricMedian({ lanes, block: first, dIn, batchSize }))
    spreadBDec()
  }

  /** Blocks cover ascending latents: joined they are the whole tensors. */
  const stored = { blocks, dIn, dSae, bDec, bDecMoments, tokensSinceFired }
  const state = () => topkState({ ...stored, steps, tokensSeen })
  function restore(saved: LearnerState): void {
    ;[steps, tokensSeen] = restoreTopk({ ...stored, saved })
    spreadBDec()
  }

  return {
    shape,
    initialise,
    load,
    encode,
    decode,
    gradients,
    update,
    afterStep,
    state,
    restore,
    loss: () => current,
    sums: () => ({ rows: batchSize, squaredError: current.squaredError, firing: current.firing }),
    weights: () => joinedWeights(stored),
    async close() {
      for (const block of blocks) await lanes.release(block.memory)
      await lanes.closeSession(gemm)
    },
  }
}

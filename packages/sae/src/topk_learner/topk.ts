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
} from './families.ts'
import { geometricMedian } from './geometric_median.ts'
import { type Aux, beginAux, decodeAux, joinAux } from './topk_aux.ts'
import { type Block, blockBytes, chunkRows, createBlock, pieces, rangeLatents } from './topk_block.ts'
import { type TopKConfig, topkConfig } from './topk_config.ts'
import { decodeSelection, keepLargest, type Selection } from './topk_join.ts'
import { topkForward } from './topk_oracle.ts'
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

/**
 * The most latents of a block whose memory stays under 4 GiB, in whole ranges of latents: then every partial sum
 * is the same in one block and in many, and the bits do not depend on how many blocks the lanes' scratch leaves.
 */
function latentsThatFit(
  lanes: Lanes,
  { dIn, dSae }: SaeShape,
  config: TopKConfig,
  batchSize: number,
): number {
  const sizes = { dIn, k: config.k, kAux: config.kAux, batchSize, lanes: lanes.count }
  for (let blocks = 1; ; blocks++) {
    const latents = Math.ceil(dSae / blocks / rangeLatents) * rangeLatents
    if (blockBytes({ ...sizes, latents }) <= memoryLimitBytes) return latents
    if (latents === rangeLatents) throw new Error(`${lanes.count} lanes leave no room for a block of latents`)
  }
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
  /** AuxK of the running step, where there are dead latents. */
  let aux: Aux | undefined

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

  async function encode(): Promise<void> {
    aux = countDead() ? beginAux({ blocks, config, dIn, batchSize, tokensSinceFired }) : undefined
    await lanes.run(
      blocks.flatMap((block, b) =>
        encodeTasks(block, { gemm, dIn, k: kOf(block), batchSize, aux: aux?.parts[b] }),
      ),
    )
    if (blocks.length === 1) return
    keepLargest({ rows: batchSize, keep: k, parts: blocks.map(mainSelection) })
    if (aux !== undefined) joinAux({ blocks, config, dIn, batchSize, aux })
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
      bias: at.bDec,
      target: at.x,
      error: at.error,
      squaredError: at.squaredError,
      scale: 2 / batchSize,
      relu: true,
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
    const given = { lanes, blocks, config, dIn, batchSize }
    const auxLoss =
      aux === undefined ? 0 : await decodeAux({ ...given, aux, squaredError, errorSums: columnSums() })
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

  function columnSums(): Float64Array {
    const chunks = Math.ceil(batchSize / chunkRows)
    const partial = first.memory.f64(first.at.columnSums, chunks * dIn)
    const sums = new Float64Array(dIn)
    for (let c = 0; c < chunks; c++) for (let j = 0; j < dIn; j++) sums[j] += partial[c * dIn + j]
    return sums
  }

  async function gradients(): Promise<number> {
    await lanes.run(
      blocks.flatMap((block, b) => listTasks(block, { k: kOf(block), batchSize, aux: aux?.parts[b] })),
    )
    await lanes.run(
      blocks.flatMap((block, b) => {
        const part = aux && { ...aux.parts[b], scale: aux.scale }
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

// The fast learner: a plan on the compute lanes. While few latents fire, a step is one dense product (the encode) and
// lists of hits; while many do, five products. What single hits need is done here, on the coordinating thread (rules.ts).
// The oracle of every formula is ../oracle.
import type { Step, Task } from '@mistudio/tensor'
import type { BatchSource, BatchSums, Learner, LearnerOptions, StepLoss } from '../learner.ts'
import { type Dynamics, type Level, type Plan, steadyDynamics } from '../plan.ts'
import { type Aux, beginAux, decodeAux, joinAux } from './aux.ts'
import { type Block, createBlocks, goesDense, levelRoom, rowHits } from './block.ts'
import { listed, type Reconstruction, reconstructionTasks, sumChunks } from './decode.ts'
import {
  denseContribution,
  denseEncodeTasks,
  denseGateContribution,
  denseGradients,
  readBackward,
  readFired,
} from './dense.ts'
import { collectTasks, firstGuess, isNormed, keepLargest, selectBatch, topkTasks } from './encode.ts'
import { type GradientOptions, listHits, rangeCount, sumGradients } from './gradients.ts'
import { compactHits, evenSpans, type Hits, needed, viewHits } from './hits.ts'
import { createLoader } from './load.ts'
import {
  createParameters,
  readWeights,
  restoreParameters,
  setWeights,
  stepVectors,
  takeTensor,
  vectorSquares,
  writeParameters,
} from './parameters.ts'
import { call, chunkRows, pieces, rangeLatents } from './pieces.ts'
import { createProducts } from './products.ts'
import { resampleLatents } from './resample.ts'
import { activate, backward, emptySums, type LatentSums, ratesOf, type StepRates } from './rules.ts'

export { learnerBytes } from './block.ts'

/** More than this share of the latents firing and the step is dense. */
const denseShare = 0.05

/** @throws Error for a penalty on thresholds that the selection has not */
function checkPlan({ selection, penalty, preAct }: Plan): void {
  if (selection.kind === 'jumprelu') return
  const needs = preAct !== null ? 'a pre-activation loss' : penalty?.kind
  if (preAct !== null || needs === 'l0' || needs === 'target_l0') {
    throw new Error(`${needs} needs the thresholds of jumprelu, the plan has ${selection.kind}`)
  }
}

export async function createLearner(options: LearnerOptions): Promise<Learner> {
  const { lanes, plan, batchSize, latentsPerBlock } = options
  const { shape, selection } = plan
  const { dIn, dSae, dOut } = shape
  checkPlan(plan)
  const { blocks, trunk } = await createBlocks({ lanes, plan, batchSize, latentsPerBlock })
  const products = await createProducts(lanes)
  const loader = createLoader({ lanes, products, blocks, trunk, dIn, dOut, batchSize, centred: plan.centred })
  const parameters = createParameters({ plan, blocks, trunk })
  const hits: Hits[] = blocks.map(block => viewHits(block, batchSize))
  const thresholded = goesDense(plan)
  const normed = isNormed(plan)
  /** Do decoder norms matter, to the penalty, the pre-act loss or the scores? Unit rows have norm 1. */
  const usesNorms =
    normed ||
    plan.preAct !== null ||
    (plan.penalty !== null && 'normWeighted' in plan.penalty && plan.penalty.normWeighted)
  const normGradient = plan.decoder === 'free' && usesNorms && !normed
  const tokensSinceFired = new Float64Array(dSae)
  const counters = { steps: 0, tokensSeen: 0 }
  /** BatchTopK's EMA and first guess; p-annealing's factor and last exponent; whether the next step starts dense. */
  const memory = { threshold: -1, guess: Number.NaN, factor: 1, p: -1, dense: thresholded }
  let separate = false
  let spans = 0
  let dense = false
  let dynamics: Dynamics = steadyDynamics
  let levels: readonly Level[] = plan.levels
  let rates: StepRates = { scale: 2 / batchSize, penalty: 0, step: 0 }
  let aux: Aux | undefined
  let latentSums: LatentSums[] = []
  let rowCounts: Int32Array[] = []
  let firing = 0
  /** BatchTopK's least kept score of the running batch. */
  let least = 0
  let loss: StepLoss = emptyLoss()
  let errorColumns: Float64Array = new Float64Array(3 * dOut)
  let totals = new Float64Array(4)

  const all = (tasksOf: (block: Block, b: number) => Task[]) => lanes.run(blocks.flatMap(tasksOf))
  setWeights(parameters, options.weights)
  for (const { memory: home, at, latents } of blocks) {
    home.f32(at.norms, latents).fill(1)
    if (selection.kind === 'topk') continue
    home.f32(at.limit, latents).fill(0)
  }
  spreadBias()

  /** b_dec where the kernels read it. */
  function spreadBias(): void {
    if (!plan.centred) return
    const bDec = parameters.bDec.parts[0]
    for (const { memory: home, at, input } of blocks)
      home.f32(at.centre, input[1] - input[0]).set(bDec.subarray(...input))
  }

  const isDead = (latent: number) => tokensSinceFired[latent] >= plan.deadAfterTokens
  function countDead(): number | null {
    if (counters.tokensSeen < plan.deadAfterTokens) return null
    let dead = 0
    for (let i = 0; i < dSae; i++) if (isDead(i)) dead++
    return dead
  }

  /** n_i of every latent; 1 where nothing asks for norms. */
  async function measureNorms(): Promise<void> {
    if (!usesNorms || plan.decoder === 'unit') return
    await all(({ memory: home, at, latents, dOut: width }) =>
      pieces(latents, rangeLatents).map(
        ({ start, length }): Task => [
          call(
            home,
            'segmentNorms',
            at.wDec,
            start,
            start + length,
            width,
            at.segments,
            at.segmentCount,
            at.norms,
          ),
        ],
      ),
    )
  }

  const penaltyNorm = (norms: Float32Array, i: number) =>
    plan.penalty !== null && 'normWeighted' in plan.penalty && plan.penalty.normWeighted ? norms[i] : 1

  const valuesOf = ({ memory: home, at, latents }: Block) => ({
    threshold: home.f32(at.threshold, latents),
    bEnc: home.f32(at.bEnc, latents),
    magnitude: at.magnitude === 0 ? new Float32Array(0) : home.f32(at.magnitude, latents),
    bMag: home.f32(at.bMag, latents),
    norms:
      plan.penalty !== null && 'normWeighted' in plan.penalty && plan.penalty.normWeighted
        ? home.f32(at.norms, latents)
        : ones(latents),
  })

  async function encode(next: Dynamics): Promise<void> {
    dynamics = next
    levels = next.levels ?? plan.levels
    if (levels.length > levelRoom(plan))
      throw new Error(`${levels.length} levels in a step, ${plan.levels.length} in the plan`)
    await measureNorms()
    latentSums = blocks.map(({ latents }) => emptySums(latents))
    rowCounts = blocks.map(() => new Int32Array(batchSize))
    aux = undefined
    if (plan.auxK !== null && (countDead() ?? 0) > 0) {
      aux = beginAux({ plan, auxK: plan.auxK, blocks, batchSize, silent: tokensSinceFired, normed })
    }
    for (const { memory: home, at, latents } of blocks) {
      if (selection.kind === 'gated') {
        const [rMag, magnitude] = [home.f32(at.rMag, latents), home.f32(at.magnitude, latents)]
        for (let i = 0; i < latents; i++) magnitude[i] = Math.exp(rMag[i])
      }
      if (selection.kind === 'jumprelu') {
        const [theta, limit] = [home.f32(at.threshold, latents), home.f32(at.limit, latents)]
        for (let i = 0; i < latents; i++) limit[i] = theta[i] - selection.bandwidth / 2
      }
    }
    dense = memory.dense
    if (!dense) dense = !(await encodeLists())
    if (dense) await all(block => denseEncodeTasks(block, { plan, products, batchSize }))
    countFiring()
    const l0 = firing / batchSize
    rates = ratesOf(plan, dynamics, batchSize, l0)
    if (thresholded) {
      const found = dense ? firing : hits.reduce((sum, { count }) => sum + count, 0)
      memory.dense = found > denseShare * dSae * batchSize
    }
  }

  /** @returns false where the lists have no room: more fires than they hold */
  async function encodeLists(): Promise<boolean> {
    const part = (b: number) => ({ products, batchSize, normed, dead: aux?.parts[b] })
    switch (selection.kind) {
      case 'topk': {
        const { length } = blocks
        const k = dynamics.k ?? selection.k
        const kept = blocks.map(({ latents }) => rowHits(plan, latents, k))
        // Nothing else writes the spans: they change with k alone.
        if (k !== spans) for (const [b, one] of hits.entries()) evenSpans(one, batchSize, kept[b])
        spans = k
        await all((block, b) => topkTasks(block, kept[b], part(b)))
        if (length > 1) {
          keepLargest({
            rows: batchSize,
            keep: k,
            parts: kept.map((n, b) => ({ value: hits[b].value, k: n })),
          })
        }
        break
      }
      case 'batchtopk': {
        const k = dynamics.k ?? selection.k
        if (!Number.isFinite(memory.guess)) {
          memory.guess = await firstGuess({ lanes, blocks, hits, k, encode: part(0) })
        }
        const chosen = await selectBatch({
          lanes,
          blocks,
          hits,
          batchSize,
          budget: Math.min(Math.floor(k * batchSize), dSae * batchSize),
          guess: memory.guess,
          tasksOf: block => collectTasks(block, part(blocks.indexOf(block))),
        })
        least = chosen.least
        memory.guess = chosen.guess
        break
      }
      default: {
        await all((block, b) => collectTasks(block, part(b)))
        if (blocks.some(block => needed(block, batchSize).most > block.chunkHits)) return false
        for (const one of hits) compactHits(one, batchSize)
      }
    }
    if (normed) {
      blocks.forEach((block, b) => {
        const { index, pre, count } = hits[b]
        const norms = block.memory.f32(block.at.norms, block.latents)
        for (let p = 0; p < count; p++) if (norms[index[p]] !== 0) pre[p] /= norms[index[p]]
      })
    }
    if (aux !== undefined && plan.auxK !== null)
      joinAux({ plan, auxK: plan.auxK, blocks, batchSize, aux, normed })
    return true
  }

  function countFiring(): void {
    firing = 0
    blocks.forEach((block, b) => {
      if (dense) {
        readFired(block, batchSize, latentSums[b])
        rowCounts[b].set(block.memory.i32(block.at.dense!.rowCount, batchSize))
        for (const count of latentSums[b].fired) firing += count
      } else firing += activate(plan, hits[b], valuesOf(block), latentSums[b], rowCounts[b])
    })
  }

  /** Penalty and pre-act coefficients by latent, and p-annealing's factor on λ. */
  function prepareBackward(): void {
    if (plan.penalty?.kind === 'lp') {
      if (memory.p >= 0 && memory.p !== dynamics.p) {
        const ratio = lpSum(memory.p) / lpSum(dynamics.p)
        if (ratio > 0 && Number.isFinite(ratio)) memory.factor *= ratio
      }
      memory.p = dynamics.p
    }
    rates = { ...rates, penalty: rates.penalty * memory.factor }
    const dead = countDead() !== null
    for (const { memory: home, at, latents, lo } of blocks) {
      const [norms, penalty, preAct] = [at.norms, at.penalty, at.preAct].map(vector =>
        home.f32(vector, latents),
      )
      for (let i = 0; i < latents; i++) {
        // The tanh kernel multiplies by n itself.
        penalty[i] = rates.penalty * (plan.penalty?.kind === 'tanh' ? 1 : penaltyNorm(norms, i))
        const open = plan.preAct !== null && (plan.preAct.on === 'all' || (dead && isDead(lo + i)))
        preAct[i] = open ? (plan.preAct!.coefficient * norms[i]) / batchSize : 0
      }
    }
  }

  /** Σ f^p·n over the batch. */
  function lpSum(p: number): number {
    let sum = 0
    blocks.forEach((block, b) => {
      const { norms } = valuesOf(block)
      if (dense) {
        const values = block.memory.f32(block.at.dense!.f, 0)
        sum += densePowers(block, values.buffer, p, norms)
        return
      }
      const { value, index, count } = hits[b]
      for (let h = 0; h < count; h++) if (value[h] > 0) sum += value[h] ** p * norms[index[h]]
    })
    return sum
  }

  /** Rare: the exponent changes while the step is dense. */
  function densePowers(block: Block, buffer: ArrayBufferLike, p: number, norms: Float32Array): number {
    let sum = 0
    const rows = Math.ceil(batchSize / chunkRows) * chunkRows
    for (const { start, length } of pieces(block.latents, 2048)) {
      const tile = new Float32Array(buffer, block.at.dense!.f + rows * start * 4, batchSize * length)
      for (let at = 0; at < tile.length; at++)
        if (tile[at] > 0) sum += tile[at] ** p * norms[start + (at % length)]
    }
    return sum
  }

  function reconstruction(): Omit<Reconstruction, 'contribution'> {
    return {
      lanes,
      blocks,
      trunk,
      dOut,
      batchSize,
      init: trunk.skip === undefined ? trunk.bDec : trunk.base,
      initStride: trunk.skip === undefined ? 0 : dOut,
      target: trunk.y,
      levels,
      errors: trunk.errors,
      squared: trunk.squared,
      errorsOf: ({ at }) => at.errors,
    }
  }

  async function decode(): Promise<void> {
    prepareBackward()
    if (trunk.skip !== undefined) await addSkip()
    if (!dense && levels.length > 1) await splitAtLevels()
    const last = levels.length - 1
    const raw = (piece: { start: number; length: number }): Step[] => {
      const { start, length } = piece
      const chunk = start / chunkRows
      const e = trunk.errors[last] + start * dOut * 4
      const home = (kernel: string, ...args: number[]) => call(trunk.memory, kernel, ...args)
      const steps = [
        home(
          'reconstructionSums',
          trunk.y + start * dOut * 4,
          e,
          length,
          dOut,
          1,
          trunk.columns + chunk * dOut * 24,
          trunk.totals + chunk * 32,
        ),
        home('columnSums', e, length, dOut, 1, trunk.sumsLast + chunk * dOut * 8),
      ]
      if (aux !== undefined) {
        const place = (offset: number) => ({ memory: trunk.memory.id, offset })
        const residual = trunk.residual + start * dOut * 4
        steps.push(home('scaleRange', residual, length * dOut, -1))
        steps.splice(2, 0, {
          copy: { from: place(e), to: place(residual), count: length, width: dOut },
        } as never)
      }
      return steps
    }
    const finish = ({ start, length }: { start: number; length: number }): Step[] => [
      call(
        trunk.memory,
        'columnSums',
        trunk.errors[0] + start * dOut * 4,
        length,
        dOut,
        1,
        trunk.sums0 + (start / chunkRows) * dOut * 8,
      ),
    ]
    const back = {
      plan,
      products,
      batchSize,
      rates: () => rates,
      p: () => dynamics.p,
      preAct: plan.preAct !== null,
    }
    const contribution = dense
      ? denseContribution(back)
      : listed(({ at }) => ({ ...at, bounds: levels.length > 1 ? at.bounds : [] }))
    await lanes.run(reconstructionTasks({ ...reconstruction(), contribution, measure: raw, finish }))
    const squaredError = sumOf(trunk.memory.f64(trunk.squared[last], batchSize))
    let gateAux = 0
    if (selection.kind === 'gated') gateAux = await decodeGate(back)
    let auxTerm = 0
    if (aux !== undefined && plan.auxK !== null) {
      auxTerm = await decodeAux({ lanes, plan, auxK: plan.auxK, blocks, trunk, batchSize, aux, squaredError })
    }
    if (plan.preAct !== null && !dense) await sumInputs()
    readSums()
    const preAct = throughHits()
    measure({ squaredError, aux: auxTerm, gateAux, preAct })
  }

  /** x W_skipᵀ + b_dec, where the reconstruction begins. */
  async function addSkip(): Promise<void> {
    const { w } = trunk.skip!
    const [{ at }] = blocks
    await lanes.run(
      pieces(batchSize, chunkRows).map(
        ({ start }): Task => [
          products.affine(
            trunk.memory,
            { offset: at.x + start * dIn * 4, rows: chunkRows, columns: dIn },
            { offset: w, rows: dOut, columns: dIn },
            trunk.bDec,
            trunk.base + start * dOut * 4,
          ),
        ],
      ),
    )
  }

  async function splitAtLevels(): Promise<void> {
    await all(({ memory: home, at, lo, latents }) =>
      pieces(batchSize, chunkRows).map(
        ({ start, length }): Task =>
          levels.map(({ width }, level) => {
            const limit = Math.min(Math.max(width - lo, 0), latents)
            const spans = [at.from + start * 4, at.to + start * 4]
            return call(home, 'splitRows', at.index, ...spans, length, limit, at.bounds[level] + start * 4)
          }),
      ),
    )
  }

  /** Gated's auxiliary reconstruction ReLU(π) W_dec + b_dec. @returns its loss */
  async function decodeGate(back: Parameters<typeof denseGateContribution>[0]): Promise<number> {
    await lanes.run(
      reconstructionTasks({
        ...reconstruction(),
        init: trunk.bDec,
        initStride: 0,
        levels: [{ width: dSae, weight: 1 }],
        errors: [trunk.error2],
        squared: [trunk.squared2],
        errorsOf: ({ at }) => [at.error2],
        contribution: dense
          ? denseGateContribution(back)
          : listed(({ at }) => ({ ...at, value: at.pre, grad: at.grad2, bounds: [] })),
        finish: ({ start, length }) => [
          call(
            trunk.memory,
            'columnSums',
            trunk.error2 + start * dOut * 4,
            length,
            dOut,
            1,
            trunk.sums2 + (start / chunkRows) * dOut * 8,
          ),
        ],
      }),
    )
    return sumOf(trunk.memory.f64(trunk.squared2, batchSize)) / batchSize
  }

  /** The mean of xc over the batch, for what every row gives alike. */
  async function sumInputs(): Promise<void> {
    await all(({ memory: home, at, dIn: width }) =>
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

  function readSums(): void {
    const chunks = Math.ceil(batchSize / chunkRows)
    errorColumns = sumChunks(trunk.memory.f64(trunk.columns, chunks * dOut * 3), dOut * 3)
    totals = sumChunks(trunk.memory.f64(trunk.totals, chunks * 4), 4) as Float64Array<ArrayBuffer>
  }

  /** Gradients of single hits and vectors, and of decoder norms. @returns the pre-act loss */
  function throughHits(): number {
    let preActLoss = 0
    blocks.forEach((block, b) => {
      const { memory: home, at, latents } = block
      const sums = latentSums[b]
      const preAct = home.f32(at.preAct, latents)
      if (dense) readBackward(block, { plan, batchSize, rates, p: dynamics.p, sums })
      else {
        backward({
          plan,
          hits: hits[b],
          values: valuesOf(block),
          sums,
          rates,
          p: dynamics.p,
          preAct: plan.preAct === null ? undefined : preAct,
        })
      }
      if (plan.preAct !== null) preActLoss += throughPreAct(block, sums, preAct)
      if (normGradient) home.f32(at.normGrad, latents).set(sums.norm)
    })
    return preActLoss
  }

  /** λ_P·Σ ReLU(θ − π)·n: all rows push a latent alike, less those where it is open (backward gave those back). */
  function throughPreAct(
    { memory: home, at, latents, dIn: width }: Block,
    sums: LatentSums,
    preAct: Float32Array,
  ): number {
    const [theta, bEnc, norms, outer] = [at.threshold, at.bEnc, at.norms, at.outer].map(v =>
      home.f32(v, latents),
    )
    const wEnc = home.f32(at.wEnc, latents * width)
    const mean = home.f32(at.inputTotal, width)
    let total = 0
    for (let i = 0; i < latents; i++) {
      outer[i] = 0
      if (preAct[i] === 0) continue
      let off = sums.openPre[i]
      if (!dense) {
        let pi = bEnc[i]
        for (let j = 0; j < width; j++) pi += wEnc[i * width + j] * mean[j]
        off = (batchSize - sums.open[i]) * theta[i] - (pi * batchSize - sums.openPre[i])
        sums.threshold[i] += preAct[i] * (batchSize - sums.open[i])
        outer[i] = -preAct[i] * batchSize
      }
      total += preAct[i] * off
      sums.norm[i] += (preAct[i] / norms[i]) * off
    }
    return total
  }

  function measure(terms: { squaredError: number; aux: number; gateAux: number; preAct: number }): void {
    const { squaredError, aux: auxTerm, gateAux, preAct } = terms
    let reconstructed = 0
    for (const [level, { weight }] of levels.entries()) {
      reconstructed += (weight * sumOf(trunk.memory.f64(trunk.squared[level], batchSize))) / batchSize
    }
    let active = 0
    for (const { activation } of latentSums) for (const value of activation) active += value
    const sparsity = penaltyTerm()
    loss = {
      mse: squaredError / batchSize,
      reconstruction: reconstructed,
      sparsity,
      aux: auxTerm,
      preAct,
      gateAux,
      loss: reconstructed + sparsity + auxTerm + preAct + gateAux,
      l0: firing / batchSize,
      l1: active / batchSize,
      deadLatents: countDead(),
    }
  }

  function penaltyTerm(): number {
    const { penalty } = plan
    if (penalty === null) return 0
    const l0 = firing / batchSize
    if (penalty.kind === 'l0') return penalty.coefficient * dynamics.sparsity * l0
    if (penalty.kind === 'target_l0')
      return penalty.coefficient * dynamics.sparsity * (l0 / penalty.target - 1) ** 2
    let sum = 0
    blocks.forEach((block, b) => {
      const { norms } = valuesOf(block)
      latentSums[b].penalty.forEach((value, i) => {
        sum += value * (penalty.kind === 'tanh' ? 1 : norms[i])
      })
    })
    return rates.penalty * sum
  }

  async function gradients(): Promise<number> {
    const outer = plan.preAct !== null && !dense
    const given: GradientOptions = {
      lanes,
      plan,
      blocks,
      hits,
      levels,
      dense,
      scale: rates.scale,
      aux,
      batchSize,
      norms: normGradient,
      outer,
    }
    if (dense) await denseGradients({ plan, products, batchSize, lanes, blocks })
    else await listHits(given)
    await sumGradients(given)
    if (trunk.skip !== undefined) await skipGradient()
    vectorGradients()
    let squares = vectorSquares(parameters)
    for (const { memory: home, at, latents } of blocks)
      for (const value of home.f64(at.squares, latents)) squares += value
    if (trunk.skip !== undefined)
      for (const norm of trunk.memory.f64(trunk.skip.norms, dOut)) squares += norm * norm
    return Math.sqrt(squares)
  }

  async function skipGradient(): Promise<void> {
    const { g, norms } = trunk.skip!
    const rows = (offset: number, columns: number) => ({ offset, rows: batchSize, columns })
    const [{ at }] = blocks
    await lanes.run([
      [
        products.transposedTimes(trunk.memory, rows(trunk.errors[0], dOut), rows(at.x, dIn), g),
        call(trunk.memory, 'scaleRange', g, dOut * dIn, rates.scale),
        call(trunk.memory, 'rowNorms', g, dOut, dIn, norms),
      ],
    ])
  }

  /** b_dec: Σ dL/dx̂ − Σ_i (dL/dπ_i)·W_enc,i where the encoder reads x − b_dec; thresholds and gates: their sums. */
  function vectorGradients(): void {
    const chunks = Math.ceil(batchSize / chunkRows)
    const [bDec] = parameters.bDec.gradient
    const errors = sumChunks(trunk.memory.f64(trunk.sums0, chunks * dOut), dOut)
    for (let j = 0; j < dOut; j++) bDec[j] = rates.scale * errors[j]
    if (selection.kind === 'gated' && !selection.frozenDecoder) {
      const second = sumChunks(trunk.memory.f64(trunk.sums2, chunks * dOut), dOut)
      for (let j = 0; j < dOut; j++) bDec[j] += rates.scale * second[j]
    }
    if (plan.centred) {
      for (const block of blocks) {
        const { memory: home, at, dIn: width, input } = block
        const sums = sumChunks(home.f64(at.latentSums, rangeCount(block, levels) * width), width)
        for (let j = 0; j < width; j++) bDec[input[0] + j] -= sums[j]
      }
    }
    for (const { name, gradient } of parameters.vectors) {
      if (name === 'bDec') continue
      gradient.forEach((slopes, b) => {
        const { threshold, scale, magnitude } = latentSums[b]
        slopes.set(name === 'threshold' ? threshold : name === 'rMag' ? scale : magnitude)
      })
    }
    if (selection.kind !== 'gated') return
    // b_enc is the gate's bias: it does not feel the magnitude's path, which gBEnc summed for b_dec's sake.
    blocks.forEach(({ memory: home, at, latents }, b) => {
      const [bias, squares, touched] = [
        home.f32(at.gBEnc, latents),
        home.f64(at.squares, latents),
        home.u8(at.touched, latents),
      ]
      const { gate } = latentSums[b]
      for (let i = 0; i < latents; i++) {
        if (touched[i] === 0) continue
        squares[i] += gate[i] ** 2 - bias[i] ** 2
        bias[i] = gate[i]
      }
    })
  }

  async function update(adam: Parameters<Learner['update']>[0]): Promise<void> {
    counters.steps++
    const { learningRate, beta1, beta2, epsilon, clipScale } = adam
    const correction1 = 1 - beta1 ** counters.steps
    const correction2 = 1 - beta2 ** counters.steps
    const given = [learningRate, beta1, beta2, epsilon, correction1, correction2, clipScale]
    const unit = plan.decoder === 'unit' ? 1 : 0
    const tasks = blocks.flatMap(({ memory: home, at, latents, dIn: wide, dOut: width }) =>
      pieces(latents, rangeLatents).map(({ start, length }): Task => {
        const end = start + length
        const { moments, touched } = at
        return [
          call(
            home,
            'adamRows',
            at.wDec,
            at.gDec,
            ...moments.wDec,
            touched,
            start,
            end,
            width,
            ...given,
            unit,
          ),
          call(home, 'adamRows', at.wEnc, at.gEnc, ...moments.wEnc, touched, start, end, wide, ...given, 0),
          call(home, 'adamRows', at.bEnc, at.gBEnc, ...moments.bEnc, touched, start, end, 1, ...given, 0),
        ]
      }),
    )
    if (trunk.skip !== undefined) {
      const { w, g, moments } = trunk.skip
      tasks.push([call(trunk.memory, 'adamRows', w, g, ...moments, 0, 0, dOut, dIn, ...given, 0)])
    }
    await lanes.run(tasks)
    stepVectors(parameters, adam, counters.steps)
    spreadBias()
  }

  async function afterStep(): Promise<void> {
    counters.tokensSeen += batchSize
    blocks.forEach(({ lo, latents }, b) => {
      const { fired } = latentSums[b]
      for (let i = 0; i < latents; i++) {
        tokensSinceFired[lo + i] = fired[i] > 0 ? 0 : tokensSinceFired[lo + i] + batchSize
      }
    })
    if (selection.kind !== 'batchtopk' || least <= 0) return
    const { thresholdDecay: decay } = selection
    memory.threshold = memory.threshold < 0 ? least : decay * memory.threshold + (1 - decay) * least
  }

  function sums(): BatchSums {
    const histogram = new Float64Array(2 + Math.floor(Math.log2(dSae)))
    for (let r = 0; r < batchSize; r++) {
      const count = rowCounts.reduce((total, counts) => total + counts[r], 0)
      histogram[count === 0 ? 0 : 1 + Math.floor(Math.log2(count))]++
    }
    const fired = new Float64Array(dSae)
    blocks.forEach(({ lo }, b) => {
      fired.set(latentSums[b].fired, lo)
    })
    const [reconstructionSquares, product, cosine, normRatio] = totals
    return {
      rows: batchSize,
      sum: errorColumns.slice(0, dOut),
      sumSquares: errorColumns.slice(dOut, 2 * dOut),
      squaredError: errorColumns.slice(2 * dOut),
      reconstructionSquares,
      product,
      cosine,
      normRatio,
      firing,
      l0Histogram: histogram,
      fired,
    }
  }

  return {
    plan,
    encode,
    decode,
    gradients,
    update,
    afterStep,
    sums,
    loss: () => loss,
    async load(batch: BatchSource) {
      separate = batch.targets !== undefined
      await loader.load(batch)
    },
    loaded() {
      const y = trunk.memory.f32(trunk.y, batchSize * dOut).slice()
      const [first] = blocks
      if (!trunk.ownTarget) return { x: y, y }
      if (!separate) return { x: y, y }
      const whole = first.dIn === dIn
      return {
        x: whole ? first.memory.f32(first.at.x, batchSize * dIn).slice() : joinInputs(blocks, dIn, batchSize),
        y,
      }
    },
    resample({ seed }) {
      if (countDead() === null) return 0
      const renewed = resampleLatents({
        plan,
        blocks,
        trunk,
        parameters,
        dead: isDead,
        batchSize,
        squared: trunk.squared[levels.length - 1],
        seed,
        separate,
      })
      for (const i of renewed) tokensSinceFired[i] = 0
      return renewed.length
    },
    weights: () => readWeights(parameters),
    setWeights(weights) {
      setWeights(parameters, weights)
      spreadBias()
    },
    threshold: () => (memory.threshold < 0 ? null : memory.threshold),
    state() {
      const state = writeParameters(parameters)
      state.set('tokens_since_fired', tokensSinceFired)
      state.set('counters', Float64Array.of(counters.steps, counters.tokensSeen))
      state.set('ema_threshold', Float64Array.of(memory.threshold))
      state.set('annealing', Float64Array.of(memory.factor, memory.p))
      state.set(
        'path',
        Float64Array.of(memory.dense ? 1 : 0, Number.isFinite(memory.guess) ? memory.guess : -1),
      )
      return state
    },
    restore(state) {
      restoreParameters(parameters, state)
      tokensSinceFired.set(takeTensor(state, 'tokens_since_fired', dSae))
      ;[counters.steps, counters.tokensSeen] = takeTensor(state, 'counters', 2)
      ;[memory.threshold] = takeTensor(state, 'ema_threshold', 1)
      ;[memory.factor, memory.p] = takeTensor(state, 'annealing', 2)
      const [isDense, guess] = takeTensor(state, 'path', 2)
      memory.dense = isDense === 1
      memory.guess = guess < 0 ? Number.NaN : guess
      spreadBias()
    },
    async close() {
      await loader.close()
      for (const block of blocks) await lanes.release(block.memory)
      await products.close()
    },
  }
}

const ones = (n: number) => new Float32Array(n).fill(1)

function sumOf(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

/** x of groups that read columns of their own. */
function joinInputs(blocks: readonly Block[], dIn: number, rows: number): Float32Array {
  const x = new Float32Array(rows * dIn)
  for (const { memory, at, input, dIn: width } of blocks) {
    const part = memory.f32(at.x, rows * width)
    for (let r = 0; r < rows; r++) x.set(part.subarray(r * width, (r + 1) * width), r * dIn + input[0])
  }
  return x
}

const emptyLoss = (): StepLoss => ({
  loss: 0,
  mse: 0,
  reconstruction: 0,
  sparsity: 0,
  aux: 0,
  preAct: 0,
  gateAux: 0,
  l0: 0,
  l1: 0,
  deadLatents: null,
})

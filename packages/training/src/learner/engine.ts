// What the parts of a fast learner share: the plan, the memory layout, and the state of the current step. The phases
// of a step are one file each in step/: step_encode.ts, step_decode.ts, step_backward.ts, step_gradients.ts.
import type { Task, WorkerPool } from '@mistudio/tensor'
import type { LearnerOptions, Scoring, StepLoss } from '../learner.ts'
import { type Dynamics, type Level, type Plan, steadyDynamics } from '../plan.ts'
import type { Aux } from './aux.ts'
import { type Block, createBlocks, type SharedBuffers } from './block.ts'
import { isNormed } from './encode.ts'
import { type Hits, viewHits } from './hits.ts'
import { createLoader, type Loader } from './load.ts'
import { createParameters, type Parameters, setWeights } from './parameters.ts'
import { goesDense } from './paths.ts'
import { createProducts, type Products } from './products.ts'
import type { LatentSums, LatentValues, StepRates } from './rules.ts'
import { defaultScoring } from './scoring.ts'
import { createScreen, type Screen } from './screen.ts'

type StepState = {
  /** Whether targets and inputs are different hook points. */
  separate: boolean
  /** The k that the even spans were written for. */
  spans: number
  dense: boolean
  dynamics: Dynamics
  levels: readonly Level[]
  rates: StepRates
  /** AuxK, if there are dead latents. */
  aux: Aux | undefined
  /** One per block. */
  latentSums: LatentSums[]
  rowCounts: Int32Array[]
  firing: number
  /** BatchTopK's least kept score. */
  least: number
  loss: StepLoss
  /** Σ y, Σ y², Σ e² by column, and the totals of reconstructionSums. */
  errorColumns: Float64Array
  totals: Float64Array
}

export type Engine = {
  pool: WorkerPool
  plan: Plan
  batchSize: number
  blocks: readonly Block[]
  sharedBuffers: SharedBuffers
  products: Products
  screen: Screen | undefined
  scoring: Scoring
  loader: Loader
  parameters: Parameters
  /** One per block. */
  hits: Hits[]
  /** Whether a step may be dense. */
  thresholded: boolean
  normed: boolean
  /** Whether decoder norms matter: to the penalty, the pre-act loss or the scores. */
  usesNorms: boolean
  /** Whether they have a gradient. Unit rows and scores give none. */
  normGradient: boolean
  tokensSinceFired: Float64Array
  counters: { steps: number; tokensSeen: number }
  /** BatchTopK's EMA and first guess; p-annealing's factor and last exponent; whether the next step starts dense. */
  memory: { threshold: number; guess: number; factor: number; p: number; dense: boolean }
  lists: Lists
  step: StepState
}

export async function createEngine(options: LearnerOptions): Promise<Engine> {
  const { pool, plan, batchSize, latentsPerBlock } = options
  const scoring = options.scoring ?? defaultScoring(plan)
  const { dIn, dSae, dOut } = plan.shape
  checkPlan(plan)
  const { blocks, sharedBuffers } = await createBlocks({ pool, plan, batchSize, latentsPerBlock, scoring })
  const products = await createProducts(pool)
  const loader = createLoader({
    pool,
    products,
    blocks,
    sharedBuffers,
    dIn,
    dOut,
    batchSize,
    centred: plan.centred,
  })
  const parameters = createParameters({ plan, blocks, sharedBuffers })
  const thresholded = goesDense(plan)
  const normed = isNormed(plan)
  const usesNorms = normed || plan.preAct !== null || isNormWeighted(plan)
  const engine: Engine = {
    pool,
    plan,
    batchSize,
    blocks,
    sharedBuffers,
    products,
    screen:
      scoring === 'screened'
        ? await createScreen(pool, { whole: plan.selection.kind !== 'topk' })
        : undefined,
    scoring,
    loader,
    parameters,
    hits: blocks.map(block => viewHits(block, batchSize)),
    thresholded,
    normed,
    usesNorms,
    normGradient: plan.decoder === 'free' && usesNorms && !normed,
    tokensSinceFired: new Float64Array(dSae),
    counters: { steps: 0, tokensSeen: 0 },
    memory: { threshold: -1, guess: Number.NaN, factor: 1, p: -1, dense: thresholded },
    lists: new Map(),
    step: emptyStep(plan, batchSize),
  }
  setWeights(parameters, options.weights)
  for (const { memory: home, at, latents } of blocks) {
    home.f32(at.norms, latents).fill(1)
    home.f32(at.limit, latents).fill(0)
  }
  spreadBias(engine)
  return engine
}

/** @throws Error for a penalty on thresholds that the selection does not have */
function checkPlan({ selection, penalty, preAct }: Plan): void {
  if (selection.kind === 'jumprelu') return
  const needs = preAct !== null ? 'a pre-activation loss' : penalty?.kind
  if (preAct !== null || needs === 'l0' || needs === 'target_l0') {
    throw new Error(`${needs} needs the thresholds of jumprelu, the plan has ${selection.kind}`)
  }
}

const emptyStep = (plan: Plan, batchSize: number): StepState => ({
  separate: false,
  spans: 0,
  dense: false,
  dynamics: steadyDynamics,
  levels: plan.levels,
  rates: { scale: 2 / batchSize, penalty: 0, step: 0 },
  aux: undefined,
  latentSums: [],
  rowCounts: [],
  firing: 0,
  least: 0,
  loss: {
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
  },
  errorColumns: new Float64Array(3 * plan.shape.dOut),
  totals: new Float64Array(4),
})

/** Runs the tasks of all blocks. */
export const runAll = (
  { pool, blocks }: Engine,
  tasksOf: (block: Block, b: number) => Task[],
): Promise<void> => pool.run(blocks.flatMap(tasksOf))

/** Task lists that steps share, and how many are kept: k, levels and scales may change during a run. */
export type Lists = Map<string, Task[]>
const mostLists = 16

/**
 * Runs tasks that are the same in every step with the same key; without a key they are rebuilt. `key` names everything
 * they depend on apart from the plan and the layout.
 */
export function runKept(
  { pool, lists }: Pick<Engine, 'pool' | 'lists'>,
  key: string | undefined,
  make: () => Task[],
): Promise<void> {
  if (key === undefined) return pool.run(make())
  let tasks = lists.get(key)
  if (tasks === undefined) {
    tasks = make()
    if (lists.size === mostLists) lists.clear()
    lists.set(key, tasks)
  }
  return pool.run(tasks, { keep: true })
}

/** The part of a key that depends on levels. */
export const levelsKey = (levels: readonly Level[]): string =>
  levels.map(({ width, weight }) => `${width}*${weight}`).join(' ')

/** The copy of b_dec that the kernels read. */
export function spreadBias({ plan, parameters, blocks }: Engine): void {
  if (!plan.centred) return
  const bDec = parameters.bDec.parts[0]
  for (const { memory: home, at, input } of blocks) {
    home.f32(at.centre, input[1] - input[0]).set(bDec.subarray(...input))
  }
}

export const isDead = ({ tokensSinceFired, plan }: Engine, latent: number): boolean =>
  tokensSinceFired[latent] >= plan.deadAfterTokens

/** null until enough tokens were seen for a latent to be dead. */
export function countDead(e: Engine): number | null {
  if (e.counters.tokensSeen < e.plan.deadAfterTokens) return null
  let dead = 0
  for (let i = 0; i < e.plan.shape.dSae; i++) if (isDead(e, i)) dead++
  return dead
}

const isNormWeighted = ({ penalty }: Plan): boolean =>
  penalty !== null && 'normWeighted' in penalty && penalty.normWeighted

/** n_i as the penalty uses it. */
export const penaltyNorm = ({ plan }: Engine, norms: Float32Array, i: number): number =>
  isNormWeighted(plan) ? norms[i] : 1

/** Views of what a block's single hits need. */
export const valuesOf = ({ plan }: Engine, { memory: home, at, latents }: Block): LatentValues => ({
  threshold: home.f32(at.threshold, latents),
  bEnc: home.f32(at.bEnc, latents),
  magnitude: at.magnitude === 0 ? new Float32Array(0) : home.f32(at.magnitude, latents),
  bMag: home.f32(at.bMag, latents),
  norms: isNormWeighted(plan) ? home.f32(at.norms, latents) : new Float32Array(latents).fill(1),
})

export function sumOf(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

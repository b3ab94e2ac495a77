// The oracle learner: the Learner interface in plain float64, slow and close to the formulas. It judges the fast
// learner, and stands in for it wherever speed does not matter.

import type { SaeWeights } from '@mistudio/sae'
import type { BatchSource, Learner, LearnerOptions, LearnerState } from '../../src/learner.ts'
import type { Dynamics } from '../../src/plan.ts'
import { adamStep, constrain, type Moments } from './adam.ts'
import { readBatch } from './batch.ts'
import { type OracleForward, oracleForward, squares } from './forward.ts'
import { oracleGradients, removeParallel } from './gradients.ts'
import { lpSum } from './penalty.ts'
import { resampleLatents } from './resample.ts'
import { scoresOf } from './selection.ts'
import { type Counters, readState, writeState } from './state.ts'
import { batchSums } from './sums.ts'
import { latentRows, narrow, type OracleWeights, type ParameterName, widen, zerosLike } from './weights.ts'

/** The running step: its batch, and what was computed of it so far. */
type Running = {
  x: Float64Array
  y: Float64Array
  dead: Uint8Array | null
  dynamics?: Dynamics
  forward?: OracleForward
  gradients?: OracleWeights
}

export async function createOracleLearner(options: LearnerOptions): Promise<Learner> {
  const { pool, plan, batchSize } = options
  const { dIn, dSae, dOut } = plan.shape
  const memory = await pool.memory({ bytes: batchSize * Math.max(dIn, dOut) * 4 + 64 })
  const at = memory.alloc(batchSize * Math.max(dIn, dOut) * 4)
  const weights = widen(plan, options.weights)
  const moments: Moments = { first: zerosLike(weights), second: zerosLike(weights) }
  let counters: Counters = {
    steps: 0,
    tokensSeen: 0,
    tokensSinceFired: new Float64Array(dSae),
    threshold: null,
    penaltyFactor: 1,
    p: null,
  }
  let running: Running | undefined

  /** A stage of the step, or an error that names the stage that comes before it. */
  function need<K extends keyof Running>(key: K, before: string): NonNullable<Running[K]> {
    const value = running?.[key]
    if (value === undefined || value === null)
      throw new Error(`the learner has nothing to go on: ${before} first`)
    return value
  }

  function deadLatents(): Uint8Array | null {
    const { tokensSeen, tokensSinceFired } = counters
    if (tokensSeen < plan.deadAfterTokens) return null
    return Uint8Array.from(tokensSinceFired, tokens => Number(tokens >= plan.deadAfterTokens))
  }

  async function load(batch: BatchSource): Promise<void> {
    running = { ...(await readBatch({ pool, memory, at, batch, batchSize })), dead: deadLatents() }
  }

  /** The whole forward pass; with another p than the step before, λ is rescaled so that the penalty keeps its size. */
  async function encode(dynamics: Dynamics): Promise<void> {
    const { x, y } = { x: need('x', 'load'), y: need('y', 'load') }
    const dead = deadLatents()
    const given = { plan, weights, x, y, dynamics, dead, penaltyFactor: counters.penaltyFactor }
    let forward = oracleForward(given)
    if (plan.penalty?.kind === 'lp' && forward.penalty !== null) {
      if (counters.p !== null && counters.p !== dynamics.p) {
        const ratio = lpSum({ ...forward.penalty, p: counters.p }) / lpSum(forward.penalty)
        if (ratio > 0 && Number.isFinite(ratio)) counters.penaltyFactor *= ratio
        forward = oracleForward({ ...given, penaltyFactor: counters.penaltyFactor })
      }
      counters.p = dynamics.p
    }
    running = { x, y, dead, dynamics, forward }
  }

  async function gradients(): Promise<number> {
    const [x, y, dynamics, forward] = [
      need('x', 'load'),
      need('y', 'load'),
      need('dynamics', 'encode'),
      need('forward', 'encode'),
    ]
    const given = { plan, weights, x, y, dynamics, dead: running?.dead ?? null }
    const { gradients: found } = oracleGradients({ ...given, penaltyFactor: counters.penaltyFactor }, forward)
    if (plan.decoder === 'unit') removeParallel(plan, weights.wDec, found.wDec)
    running = { ...given, forward, gradients: found }
    return Math.sqrt(Object.values(found).reduce((sum, values) => sum + squares(values), 0))
  }

  async function afterStep(): Promise<void> {
    const { activations, pre, norms, frozen } = need('forward', 'encode')
    counters.tokensSeen += batchSize
    for (let i = 0; i < dSae; i++) {
      let fired = false
      for (let r = 0; r < batchSize && !fired; r++) fired = activations[r * dSae + i] > 0
      counters.tokensSinceFired[i] = fired ? 0 : counters.tokensSinceFired[i] + batchSize
    }
    if (plan.selection.kind !== 'batchtopk') return
    const scores = scoresOf({ selection: plan.selection, pre, norms })
    let least = Number.POSITIVE_INFINITY
    scores.forEach((score, entry) => {
      if (frozen.open[entry] === 1 && score > 0) least = Math.min(least, score)
    })
    if (least === Number.POSITIVE_INFINITY) return
    const { thresholdDecay: decay } = plan.selection
    const { threshold } = counters
    counters.threshold = threshold === null ? least : decay * threshold + (1 - decay) * least
  }

  function resample({ seed }: { seed: number }): number {
    const dead = deadLatents()
    if (dead === null) return 0
    const [x, y, { errors }] = [need('x', 'load'), need('y', 'load'), need('forward', 'encode')]
    const renewed = resampleLatents({ plan, weights, dead, x, y, error: errors[errors.length - 1], seed })
    const rows = latentRows(plan)
    for (const i of renewed) {
      counters.tokensSinceFired[i] = 0
      for (const moment of [moments.first, moments.second]) {
        for (const name of Object.keys(moment) as ParameterName[]) forget(moment[name]!, name, i)
      }
    }
    return renewed.length

    function forget(values: Float64Array, name: ParameterName, i: number) {
      const { enc, input, dec, output } = rows[i]
      if (name === 'wEnc') values.fill(0, enc, enc + input[1] - input[0])
      else if (name === 'wDec') values.fill(0, dec, dec + output[1] - output[0])
      else if (name !== 'bDec' && name !== 'wSkip') values[i] = 0
    }
  }

  return {
    plan,
    load,
    encode,
    gradients,
    afterStep,
    resample,
    loaded: () => ({ x: Float32Array.from(need('x', 'load')), y: Float32Array.from(need('y', 'load')) }),
    async decode() {
      need('forward', 'encode')
    },
    loss: () => need('forward', 'encode').loss,
    sums() {
      const { reconstruction, activations } = need('forward', 'encode')
      return batchSums({ y: need('y', 'load'), reconstruction, activations, dOut })
    },
    async update(rates) {
      counters.steps++
      adamStep({ weights, moments, gradients: need('gradients', 'gradients'), rates, step: counters.steps })
      constrain(plan, weights)
    },
    weights: () => narrow(weights),
    setWeights(given: SaeWeights) {
      Object.assign(weights, widen(plan, given))
    },
    threshold: () => counters.threshold,
    state: (): LearnerState => writeState(weights, moments, counters),
    restore(state) {
      counters = readState(state, weights, moments)
    },
    close: () => pool.release(memory),
  }
}

// Everything an oracle learner needs to go on after a restart, by name.
import { InputError } from '@mistudio/files'
import type { LearnerState } from '../../src/learner.ts'
import type { Moments } from './adam.ts'
import { type OracleWeights, type ParameterName, wireNames } from './weights.ts'

export type Counters = {
  steps: number
  tokensSeen: number
  tokensSinceFired: Float64Array
  /** BatchTopK's EMA; null before the first batch. */
  threshold: number | null
  /** p-annealing: what λ is multiplied by, and the exponent of the last step (null before the first). */
  penaltyFactor: number
  p: number | null
}

/** Names → tensors. Numbers that are not there yet are −1. */
export function writeState(weights: OracleWeights, moments: Moments, counters: Counters): LearnerState {
  const { steps, tokensSeen, tokensSinceFired, threshold, penaltyFactor, p } = counters
  const state: LearnerState = new Map()
  for (const name of Object.keys(weights) as ParameterName[]) {
    state.set(wireNames[name], weights[name]!)
    state.set(`${wireNames[name]}.moment1`, moments.first[name]!)
    state.set(`${wireNames[name]}.moment2`, moments.second[name]!)
  }
  state.set('tokens_since_fired', tokensSinceFired)
  state.set('counters', Float64Array.of(steps, tokensSeen))
  state.set('ema_threshold', Float64Array.of(threshold ?? -1))
  state.set('annealing', Float64Array.of(penaltyFactor, p ?? -1))
  return state
}

/** Overwrites weights and moments in place. @throws InputError naming a tensor that is missing or has another length */
export function readState(state: LearnerState, weights: OracleWeights, moments: Moments): Counters {
  const take = (name: string, length: number) => {
    const found = state.get(name)
    if (found?.length === length) return found
    throw new InputError({
      message: 'the checkpoint does not fit the SAE',
      field: name,
      found: found === undefined ? 'nothing' : `${found.length} elements`,
      expected: `${length} elements`,
    })
  }
  for (const name of Object.keys(weights) as ParameterName[]) {
    const { length } = weights[name]!
    weights[name]!.set(take(wireNames[name], length))
    moments.first[name]!.set(take(`${wireNames[name]}.moment1`, length))
    moments.second[name]!.set(take(`${wireNames[name]}.moment2`, length))
  }
  const [steps, tokensSeen] = take('counters', 2)
  const [threshold] = take('ema_threshold', 1)
  const [penaltyFactor, p] = take('annealing', 2)
  return {
    steps,
    tokensSeen,
    tokensSinceFired: Float64Array.from(take('tokens_since_fired', weights.bEnc.length)),
    threshold: threshold < 0 ? null : threshold,
    penaltyFactor,
    p: p < 0 ? null : p,
  }
}

// Ground truth: known sparse directions, how often each fires, and with which others. Activations made of them have a right
// answer, so an SAE can be scored: which directions did it find, and which of its latents are spurious.
import { InputError } from '@mistudio/files'
import { gaussianStream } from '@mistudio/tensor'

export type GroundTruthOptions = {
  /** Width of the activations. */
  dIn: number
  directions: number
  /** Mean number of directions that fire at a token. */
  l0: number
  /** `zipf`: the i-th direction fires in proportion to 1/i, at most at every second token. */
  frequencies: 'equal' | 'zipf'
  /**
   * `correlated`: directions in groups of 8; two in a group correlate at about 0.3. `hierarchical`: families of a parent
   * and 3 children; a child fires at half of its parent's tokens and never without it.
   */
  structure: 'independent' | 'correlated' | 'hierarchical'
  /** Standard deviation of normal noise on every coordinate. */
  noise: number
}

export const defaultGroundTruth: GroundTruthOptions = {
  dIn: 128,
  directions: 512,
  l0: 5,
  frequencies: 'equal',
  structure: 'independent',
  noise: 0,
}

/** Directions that fire together or not: a member fires with its probability when its unit does, else never. */
export type Unit = { probability: number; members: readonly { direction: number; probability: number }[] }

export type GroundTruth = GroundTruthOptions & {
  /** Unit rows [directions, d_in]. */
  rows: Float32Array
  /** Descending by probability; independent of each other. */
  units: readonly Unit[]
}

const groupSize = 8
const correlation = 0.3
const familySize = 4
const childProbability = 0.5
/** No direction of Zipf's law fires more often than this. */
const mostFrequent = 0.5

/** @throws InputError if the directions cannot fire as often as requested */
export function createGroundTruth(options: GroundTruthOptions & { seed: number }): GroundTruth {
  const { seed, ...truth } = options
  return { ...truth, rows: unitRows({ ...truth, seed }), units: unitsOf(truth) }
}

/** Probability of each direction [directions]. */
export function firingProbabilities({ directions, units }: GroundTruth): Float64Array {
  const result = new Float64Array(directions)
  for (const unit of units) {
    for (const { direction, probability } of unit.members) result[direction] = unit.probability * probability
  }
  return result
}

/** Normal draws, each row divided by its norm. */
function unitRows(options: { directions: number; dIn: number; seed: number }): Float32Array {
  const { directions, dIn, seed } = options
  const draw = gaussianStream({ seed, purpose: 'true directions' })
  const rows = new Float32Array(directions * dIn)
  const row = new Float64Array(dIn)
  for (let i = 0; i < directions; i++) {
    let squares = 0
    for (let j = 0; j < dIn; j++) {
      row[j] = draw()
      squares += row[j] * row[j]
    }
    const norm = Math.sqrt(squares)
    for (let j = 0; j < dIn; j++) rows[i * dIn + j] = row[j] / norm
  }
  return rows
}

function unitsOf(truth: GroundTruthOptions): Unit[] {
  const { directions, structure } = truth
  switch (structure) {
    case 'independent':
      return Array.from(frequenciesOf(truth, directions, truth.l0), (probability, direction) => ({
        probability,
        members: [{ direction, probability: 1 }],
      }))
    case 'correlated': {
      // A unit's frequency is chosen so that its members, each firing at a share `correlation` of its tokens, have theirs.
      const frequencies = frequenciesOf(truth, directions, truth.l0)
      return chunks(directions, groupSize).map(members => {
        const probability = Math.min(1, frequencies[members[0]] / correlation)
        return {
          probability,
          members: members.map(direction => ({
            direction,
            probability: frequencies[direction] / probability,
          })),
        }
      })
    }
    case 'hierarchical': {
      const families = chunks(directions, familySize)
      // What all children add to the parents' own firing.
      const weight = 1 + ((directions - families.length) / families.length) * childProbability
      const parents = frequenciesOf(truth, families.length, truth.l0 / weight)
      return families.map((members, f) => ({
        probability: parents[f],
        members: members.map((direction, m) => ({ direction, probability: m === 0 ? 1 : childProbability })),
      }))
    }
  }
}

/** [0, count) split into runs of `size`. */
function chunks(count: number, size: number): number[][] {
  return Array.from({ length: Math.ceil(count / size) }, (_, c) =>
    Array.from({ length: Math.min(size, count - c * size) }, (_, i) => c * size + i),
  )
}

/** Probabilities of `count` units, descending, which sum to `sum`. */
function frequenciesOf(
  { frequencies, l0, directions }: GroundTruthOptions,
  count: number,
  sum: number,
): Float64Array {
  const most = frequencies === 'zipf' ? mostFrequent : 1
  if (!(sum <= most * count)) {
    throw new InputError({
      message: 'the directions cannot fire as often as requested',
      field: 'l0',
      found: `${l0} of ${directions} directions`,
      expected: `at most ${Math.floor((l0 * most * count) / sum)}`,
    })
  }
  if (frequencies === 'equal') return new Float64Array(count).fill(sum / count)
  const at = (scale: number) =>
    Float64Array.from({ length: count }, (_, i) => Math.min(most, scale / (i + 1)))
  let low = 0
  let high = most * count
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2
    if (at(middle).reduce((total, p) => total + p, 0) < sum) low = middle
    else high = middle
  }
  return at(high)
}

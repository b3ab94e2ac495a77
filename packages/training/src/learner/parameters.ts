// The parameters of a learner by name, each as pieces in the blocks that hold it: for setting and reading weights, moments,
// checkpoints. Vectors that no kernel updates (b_dec, θ, r_mag, b_mag) step here, in plain TypeScript.
import { InputError } from '@mistudio/files'
import type { SaeWeights } from '@mistudio/sae'
import type { AdamRates, LearnerState } from '../learner.ts'
import type { Plan } from '../plan.ts'
import type { Block, SharedBuffers } from './block.ts'

type Part = Float32Array

/** One tensor: where its pieces are, in the order of latents. */
type Parameter = { name: keyof SaeWeights; wire: string; parts: Part[]; moments: [Part[], Part[]] }

/** b_dec and the vectors of thresholds and gates, with gradients in float64. */
type VectorParameter = Parameter & { gradient: Float64Array[] }

export type Parameters = { all: Parameter[]; vectors: VectorParameter[]; bDec: VectorParameter }

export function createParameters(options: {
  plan: Plan
  blocks: readonly Block[]
  sharedBuffers: SharedBuffers
}): Parameters {
  const { plan, blocks, sharedBuffers } = options
  const { dIn, dOut } = plan.shape
  const views = (lengthOf: (block: Block) => number, pointerOf: (block: Block) => number) =>
    blocks.map(block => block.memory.f32(pointerOf(block), lengthOf(block)))
  const matrix = (
    name: 'wEnc' | 'wDec' | 'bEnc',
    wire: string,
    width: (block: Block) => number,
  ): Parameter => {
    const length = (block: Block) => block.latents * width(block)
    return {
      name,
      wire,
      parts: views(length, ({ at }) => at[name]),
      moments: [
        views(length, ({ at }) => at.moments[name][0]),
        views(length, ({ at }) => at.moments[name][1]),
      ],
    }
  }
  const vector = (name: keyof SaeWeights, wire: string, parts: Part[]): VectorParameter => {
    const fresh = () => parts.map(({ length }) => new Float32Array(length))
    return {
      name,
      wire,
      parts,
      moments: [fresh(), fresh()],
      gradient: parts.map(p => new Float64Array(p.length)),
    }
  }
  const latents = (block: Block) => block.latents
  const bDec = vector('bDec', 'b_dec', [sharedBuffers.memory.f32(sharedBuffers.bDec, dOut)])
  const vectors = [bDec]
  const { kind } = plan.selection
  if (kind === 'jumprelu')
    vectors.push(
      vector(
        'threshold',
        'threshold',
        views(latents, ({ at }) => at.threshold),
      ),
    )
  if (kind === 'gated') {
    vectors.push(
      vector(
        'rMag',
        'r_mag',
        views(latents, ({ at }) => at.rMag),
      ),
    )
    vectors.push(
      vector(
        'bMag',
        'b_mag',
        views(latents, ({ at }) => at.bMag),
      ),
    )
  }
  const all: Parameter[] = [
    matrix('wEnc', 'W_enc', block => block.dIn),
    matrix('bEnc', 'b_enc', () => 1),
    matrix('wDec', 'W_dec', block => block.dOut),
    ...vectors,
  ]
  if (sharedBuffers.skip !== undefined) {
    const { w, moments } = sharedBuffers.skip
    const view = (at: number) => [sharedBuffers.memory.f32(at, dOut * dIn)]
    all.push({ name: 'wSkip', wire: 'W_skip', parts: view(w), moments: [view(moments[0]), view(moments[1])] })
  }
  return { all, vectors, bDec }
}

const lengthOf = (parts: Part[]) => parts.reduce((sum, { length }) => sum + length, 0)

/** One array: the piece itself if there is only one, otherwise a copy. */
function joined(parts: Part[]): Part {
  if (parts.length === 1) return parts[0]
  const result = new Float32Array(lengthOf(parts))
  let at = 0
  for (const part of parts) {
    result.set(part, at)
    at += part.length
  }
  return result
}

function spread(source: Float32Array | Float64Array, parts: Part[]): void {
  let at = 0
  for (const part of parts) {
    part.set(source.subarray(at, at + part.length))
    at += part.length
  }
}

/** @throws InputError naming a tensor that is missing or has the wrong length */
export function setWeights({ all }: Parameters, weights: SaeWeights): void {
  for (const { name, wire, parts } of all) {
    const given = weights[name]
    const expected = lengthOf(parts)
    if (given?.length !== expected)
      throw unfit('the weights do not fit the SAE', wire, given?.length, expected)
    spread(given, parts)
  }
}

const unfit = (message: string, field: string, found: number | undefined, expected: number) =>
  new InputError({
    message,
    field,
    found: found === undefined ? 'nothing' : `${found} elements`,
    expected: `${expected} elements`,
  })

export function readWeights({ all }: Parameters): SaeWeights {
  const weights: { [K in keyof SaeWeights]?: Float32Array } = {}
  for (const { name, parts } of all) weights[name] = joined(parts)
  const { wEnc, bEnc, wDec, bDec, ...rest } = weights
  if (!wEnc || !bEnc || !wDec || !bDec) throw new Error('a learner without weights')
  return { wEnc, bEnc, wDec, bDec, ...rest }
}

/** Weights and both moments by wire name. */
export function writeParameters({ all }: Parameters): LearnerState {
  const state: LearnerState = new Map()
  for (const { wire, parts, moments } of all) {
    state.set(wire, joined(parts))
    state.set(`${wire}.moment1`, joined(moments[0]))
    state.set(`${wire}.moment2`, joined(moments[1]))
  }
  return state
}

export const takeTensor = (
  state: LearnerState,
  name: string,
  length: number,
): Float32Array | Float64Array => {
  const found = state.get(name)
  if (found?.length === length) return found
  throw unfit('the checkpoint does not fit the SAE', name, found?.length, length)
}

/** @throws InputError naming a tensor that is missing or has the wrong length; then nothing is changed */
export function restoreParameters({ all }: Parameters, state: LearnerState): void {
  const places = all.flatMap(({ wire, parts, moments }) => [
    { name: wire, parts },
    { name: `${wire}.moment1`, parts: moments[0] },
    { name: `${wire}.moment2`, parts: moments[1] },
  ])
  const found = places.map(({ name, parts }) => takeTensor(state, name, lengthOf(parts)))
  places.forEach(({ parts }, i) => {
    spread(found[i], parts)
  })
}

/** Σ g² of the vectors. */
export function vectorSquares({ vectors }: Parameters): number {
  let sum = 0
  for (const { gradient } of vectors) for (const part of gradient) for (const g of part) sum += g * g
  return sum
}

/** Adam (as torch.optim.Adam) on the vectors; thresholds stay at or above 0. */
export function stepVectors({ vectors }: Parameters, rates: AdamRates, step: number): void {
  const { learningRate, beta1, beta2, epsilon, clipScale } = rates
  const correction1 = 1 - beta1 ** step
  const correction2 = 1 - beta2 ** step
  for (const { name, parts, moments, gradient } of vectors) {
    parts.forEach((values, b) => {
      const [m, v, slopes] = [moments[0][b], moments[1][b], gradient[b]]
      for (let i = 0; i < values.length; i++) {
        const g = slopes[i] * clipScale
        m[i] = beta1 * m[i] + (1 - beta1) * g
        v[i] = beta2 * v[i] + (1 - beta2) * g * g
        values[i] -= ((learningRate / correction1) * m[i]) / (Math.sqrt(v[i] / correction2) + epsilon)
        if (name === 'threshold' && values[i] < 0) values[i] = 0
      }
    })
  }
}

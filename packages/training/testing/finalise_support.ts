// What the tests of finalisation share: every kind of normaliser, and what each does to a row and how it is undone.

import { type HookSpan, type Normaliser, normaliseRow, outputsAreInputs, type SaeHooks } from '@mistudio/sae'
import { gaussianStream } from '@mistudio/tensor'
import type { HookNormalisers } from '../src/finish/finalise.ts'

export const normaliserKinds: readonly Normaliser['kind'][] = [
  'none',
  'scale',
  'whiten',
  'token_rms',
  'layer_norm',
]

/** A whitening that is no rotation: M = lower triangle, its inverse by substitution. */
function whitening(d: number, purpose: string): Normaliser {
  const draw = gaussianStream({ seed: 7, purpose })
  const matrix = new Float32Array(d * d)
  const inverse = new Float32Array(d * d)
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < i; j++) matrix[i * d + j] = 0.3 * draw()
    matrix[i * d + i] = 0.5 + Math.abs(draw())
  }
  for (let column = 0; column < d; column++) {
    for (let i = column; i < d; i++) {
      let sum = i === column ? 1 : 0
      for (let j = column; j < i; j++) sum -= matrix[i * d + j] * inverse[j * d + column]
      inverse[i * d + column] = sum / matrix[i * d + i]
    }
  }
  return { kind: 'whiten', mean: Float32Array.from({ length: d }, draw), matrix, inverse }
}

function normaliser(kind: Normaliser['kind'], { hook, width }: HookSpan): Normaliser {
  if (kind === 'scale') return { kind, scale: 0.3 + hook.charCodeAt(0) / 90 }
  return kind === 'whiten' ? whitening(width, hook) : { kind }
}

/** A target that is no input is never normalised by row. */
export function normalisersOf(kind: Normaliser['kind'], hooks: SaeHooks): HookNormalisers {
  const byRow = kind === 'token_rms' || kind === 'layer_norm'
  const outputKind = byRow && !outputsAreInputs(hooks) ? 'none' : kind
  return {
    inputs: hooks.inputs.map(span => normaliser(kind, span)),
    outputs: hooks.outputs.map(span => normaliser(outputKind, span)),
  }
}

/** Normalises one hook's row in place. @returns what undoes it on a reconstruction, in place */
export function normalise(by: Normaliser, row: Float64Array): (out: Float64Array) => void {
  if (by.kind === 'scale') {
    row.set(row.map(value => value * by.scale))
    return out => out.set(out.map(value => value / by.scale))
  }
  if (by.kind === 'whiten') {
    const times = (m: Float32Array, v: Float64Array) =>
      v.map((_, i) => v.reduce((sum, value, j) => sum + m[i * v.length + j] * value, 0))
    row.set(
      times(
        by.matrix,
        row.map((value, j) => value - by.mean[j]),
      ),
    )
    return out => out.set(times(by.inverse, out).map((value, j) => value + by.mean[j]))
  }
  const { shift, factor } = normaliseRow(by.kind, row)
  return out => out.set(out.map(value => value * factor + shift))
}

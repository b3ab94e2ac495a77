// A finished SAE computes on the model's activations what the training's SAE computes on normalised ones: compared
// with the plan written out in float64 here, for every kind of selection, of normalisation and of structure.
import { InputError } from '@mistudio/files'
import {
  groupRows,
  type HookSpan,
  hookSpans,
  inferSae,
  type LatentGroup,
  type Normaliser,
  outputNorms,
  outputsAreInputs,
  type SaeHooks,
  type SaeShape,
  type SaeWeights,
  weightSizes,
} from '@mistudio/sae'
import { worst } from '@mistudio/sae/testing/encoder_support.ts'
import { gaussianStream } from '@mistudio/tensor'
import { describe, expect, test } from 'vitest'
import { normalise, normaliserKinds, normalisersOf } from '../../testing/finalise_support.ts'
import { basePlan, type Plan, type Selection } from '../plan.ts'
import { finaliseSae, type HookNormalisers } from './finalise.ts'

const rows = 24

type Structure = { shape: SaeShape; hooks: SaeHooks; groups?: LatentGroup[]; centred: boolean; skip: boolean }

const a: HookSpan = { hook: 'a', width: 6 }
const b: HookSpan = { hook: 'b', width: 4 }
const c: HookSpan = { hook: 'c', width: 5 }
const one = { inputs: [a], outputs: [a] }
const structures: Record<string, Structure> = {
  centred: { shape: { dIn: 6, dSae: 20, dOut: 6 }, hooks: one, centred: true, skip: false },
  'not centred': { shape: { dIn: 6, dSae: 20, dOut: 6 }, hooks: one, centred: false, skip: false },
  transcoder: {
    shape: { dIn: 6, dSae: 20, dOut: 5 },
    hooks: { inputs: [a], outputs: [c] },
    centred: false,
    skip: false,
  },
  'skip transcoder': {
    shape: { dIn: 6, dSae: 20, dOut: 5 },
    hooks: { inputs: [a], outputs: [c] },
    centred: false,
    skip: true,
  },
  crosscoder: {
    shape: { dIn: 10, dSae: 20, dOut: 10 },
    hooks: { inputs: [a, b], outputs: [a, b] },
    centred: false,
    skip: false,
  },
  'cross-layer transcoder': {
    shape: { dIn: 10, dSae: 20, dOut: 9 },
    hooks: {
      inputs: [a, b],
      outputs: [
        { hook: 'y', width: 5 },
        { hook: 'z', width: 4 },
      ],
    },
    groups: [
      { latents: [0, 12], input: [0, 6], output: [0, 9] },
      { latents: [12, 20], input: [6, 10], output: [5, 9] },
    ],
    centred: false,
    skip: false,
  },
}

const selections: Record<string, Selection> = {
  relu: { kind: 'relu' },
  topk: { kind: 'topk', k: 4, score: 'raw' },
  'topk, normed': { kind: 'topk', k: 4, score: 'normed' },
  batchtopk: { kind: 'batchtopk', k: 4, score: 'raw', thresholdDecay: 0.99 },
  'batchtopk, normed': { kind: 'batchtopk', k: 4, score: 'normed', thresholdDecay: 0.99 },
  jumprelu: { kind: 'jumprelu', bandwidth: 0.1, steToInput: false },
  gated: { kind: 'gated', frozenDecoder: true },
}

const threshold = 0.4

function planOf({ shape, hooks, groups, centred, skip }: Structure, selection: Selection): Plan {
  return {
    ...basePlan(shape),
    ...(groups !== undefined && { groups }),
    normSegments: hookSpans(hooks.outputs),
    centred,
    skip,
    selection,
    penalty: null,
    preAct: null,
    auxK: null,
    decoder: 'free',
    deadAfterTokens: 1,
  }
}

function someWeights(plan: Plan): SaeWeights {
  const draw = gaussianStream({ seed: 5, purpose: 'weights' })
  const take = (n: number, scale = 1) => Float32Array.from({ length: n }, () => scale * draw())
  const { dIn, dSae, dOut } = plan.shape
  const sizes = weightSizes(plan.groups)
  return {
    wEnc: take(sizes.encoder, 0.5),
    bEnc: take(dSae, 0.1),
    wDec: take(sizes.decoder),
    bDec: take(dOut, 0.3),
    ...(plan.selection.kind === 'jumprelu' && { threshold: take(dSae, 0.3).map(Math.abs) }),
    ...(plan.selection.kind === 'gated' && { rMag: take(dSae, 0.2), bMag: take(dSae, 0.2) }),
    ...(plan.skip && { wSkip: take(dIn * dOut, 0.4) }),
  }
}

/** The plan at inference, on normalised rows: activations and the reconstruction, normalisation undone. */
function unfolded(
  plan: Plan,
  weights: SaeWeights,
  norms: Float64Array,
  by: HookNormalisers,
  hooks: SaeHooks,
  x: Float64Array,
) {
  const { wEnc, bEnc, wDec, bDec, wSkip, rMag, bMag } = weights
  const spans = hookSpans(hooks.inputs)
  const undo = spans.map((span, hook) => normalise(by.inputs[hook], x.subarray(...span)))
  const z = Float64Array.from(bEnc, () => 0)
  for (const { latents, input, count, reads, encoderAt } of groupRows(plan.groups)) {
    for (let i = 0; i < count; i++)
      for (let j = 0; j < reads; j++) {
        const column = input[0] + j
        z[latents[0] + i] += wEnc[encoderAt + i * reads + j] * (x[column] - (plan.centred ? bDec[column] : 0))
      }
  }
  const pre = z.map((value, i) => value + bEnc[i])
  const { selection } = plan
  const score = 'score' in selection && selection.score === 'normed' ? pre.map((v, i) => v * norms[i]) : pre
  const rank = (i: number) => score.filter(value => value > score[i]).length
  const fires = (i: number) => {
    switch (selection.kind) {
      case 'relu':
        return true
      case 'topk':
        return rank(i) < selection.k
      case 'batchtopk':
        return score[i] > threshold
      case 'jumprelu':
        return pre[i] > weights.threshold![i]
      case 'gated':
        return pre[i] > 0
    }
  }
  const acts = pre.map((value, i) => {
    const magnitude = selection.kind === 'gated' ? z[i] * Math.exp(rMag![i]) + bMag![i] : value
    return fires(i) ? Math.max(magnitude, 0) : 0
  })
  const out = Float64Array.from(bDec)
  for (const { latents, output, count, writes, decoderAt } of groupRows(plan.groups)) {
    for (let i = 0; i < count; i++)
      for (let j = 0; j < writes; j++)
        out[output[0] + j] += acts[latents[0] + i] * wDec[decoderAt + i * writes + j]
  }
  if (wSkip !== undefined)
    for (let o = 0; o < out.length; o++)
      for (let j = 0; j < x.length; j++) out[o] += wSkip[o * x.length + j] * x[j]
  hookSpans(hooks.outputs).forEach((span, hook) => {
    // A separate target is undone by its own normaliser, which does not depend on the row.
    const back = outputsAreInputs(hooks)
      ? undo[hook]
      : normalise(by.outputs[hook], new Float64Array(span[1] - span[0]))
    back(out.subarray(...span))
  })
  return { acts, out }
}

describe.each(Object.keys(structures))('%s', structureName => {
  const structure = structures[structureName]
  const { shape, hooks } = structure
  test.each(Object.keys(selections).flatMap(name => normaliserKinds.map(kind => [name, kind] as const)))(
    '%s under %s: folded equals unfolded',
    (name, kind) => {
      const plan = planOf(structure, selections[name])
      const weights = someWeights(plan)
      const kept = weights.wEnc.slice()
      const normalisers = normalisersOf(kind, hooks)
      const sae = finaliseSae({ family: name, plan, weights, threshold, normalisers, hooks })
      expect(weights.wEnc).toEqual(kept)
      const draw = gaussianStream({ seed: 9, purpose: 'x' })
      const x = Float64Array.from({ length: rows * shape.dIn }, () => 1.5 * draw() + 0.2)
      const norms = outputNorms({ groups: plan.groups, weights, normSegments: plan.normSegments })
      const found = inferSae({ sae, x })
      const acts = new Float64Array(rows * shape.dSae)
      const out = new Float64Array(rows * shape.dOut)
      for (let r = 0; r < rows; r++) {
        const row = x.slice(r * shape.dIn, (r + 1) * shape.dIn)
        const wanted = unfolded(plan, weights, norms, normalisers, hooks, row)
        acts.set(wanted.acts, r * shape.dSae)
        out.set(wanted.out, r * shape.dOut)
      }
      expect(worst(found.reconstruction, out)).toBeLessThan(1e-5)
      // Activations are those of the training times the folded factor, latent by latent.
      const unit = finaliseSae({
        family: name,
        plan: { ...plan, decoder: 'unit' },
        weights,
        threshold,
        normalisers,
        hooks,
      })
      const parts = { groups: plan.groups, normSegments: plan.normSegments }
      const byScore =
        'score' in plan.selection && (plan.selection.score === 'normed' ? norms : norms.map(() => 1))
      const fold = byScore || outputNorms({ ...parts, weights: unit.weights })
      expect(
        worst(
          found.featureActs,
          acts.map((value, i) => value * fold[i % shape.dSae]),
        ),
      ).toBeLessThan(1e-5)
      expect(acts.filter(value => value > 0).length).toBeGreaterThan(rows)
    },
  )
})

const relu: Selection = { kind: 'relu' }

test('free decoders end with rows of norm 1, summed over the segments; unit decoders stay as they are', () => {
  const structure = structures.crosscoder
  const { hooks } = structure
  const plan = planOf(structure, relu)
  const weights = someWeights(plan)
  const options = { family: 'x', weights, hooks, normalisers: normalisersOf('scale', hooks) }
  const { wDec } = finaliseSae({ ...options, plan }).weights
  const parts = { groups: plan.groups, normSegments: plan.normSegments }
  for (const norm of outputNorms({ ...parts, weights: { ...weights, wDec } })) expect(norm).toBeCloseTo(1, 6)
  const unit = finaliseSae({
    ...options,
    plan: { ...plan, decoder: 'unit' },
    normalisers: normalisersOf('none', hooks),
  })
  expect(unit.weights).toEqual(weights)
})

test('BatchTopK ends as JumpReLU with one θ for all latents', () => {
  const structure = structures.centred
  const { hooks } = structure
  const plan = planOf(structure, selections['batchtopk, normed'])
  const weights = someWeights(plan)
  const sae = finaliseSae({
    family: 'batchtopk',
    plan,
    weights,
    threshold: 0.25,
    hooks,
    normalisers: normalisersOf('whiten', hooks),
  })
  expect(sae.activation).toEqual({ kind: 'jumprelu' })
  expect(new Set(sae.weights.threshold)).toEqual(new Set([0.25]))
})

test('refuses BatchTopK without a threshold, and row normalisations that cannot be undone', () => {
  const { hooks } = structures.transcoder
  const plan = planOf(structures.transcoder, relu)
  const weights = someWeights(plan)
  const norm: Normaliser = { kind: 'token_rms' }
  const of = (normalisers: HookNormalisers, other = plan) => {
    try {
      finaliseSae({ family: 'x', plan: other, weights, normalisers, hooks, threshold: null })
    } catch (error) {
      return error instanceof InputError ? error.details.field : error
    }
  }
  expect(of({ inputs: [norm], outputs: [norm] })).toBe('normalisation')
  expect(of({ inputs: [norm], outputs: [{ kind: 'none' }] })).toBeUndefined()
  const none: Normaliser = { kind: 'none' }
  expect(of({ inputs: [none], outputs: [none] }, { ...plan, selection: selections.batchtopk })).toBe(
    'threshold',
  )
})

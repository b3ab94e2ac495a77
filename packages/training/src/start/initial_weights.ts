// Initialisation drawn from the seed. What needs data (b_dec, the active subspace, the norm, b_enc)
// follows in fit_weights.ts on the first batch.

import { groupRows, overlap, type SaeWeights, weightSizes } from '@mistudio/sae'
import { gaussianStream, randomStream } from '@mistudio/tensor'
import { contradiction } from '../families/shared.ts'
import type { MemberConfig } from '../family.ts'
import type { ConfigOf, FieldTable } from '../fields.ts'
import type { Plan } from '../plan.ts'

/** The purpose string of the first version, kept so that its published runs stay reproducible. */
const sphereDraws = 'topk weights'

/**
 * Weights without data: biases 0, thresholds as configured, W_skip 0, W_dec and W_enc drawn. A pure function of its
 * arguments.
 * @throws InputError if the encoder is to be tied to decoder rows of another width
 */
export function initialWeights(options: {
  plan: Plan
  settings: MemberConfig
  config: ConfigOf<FieldTable>
  seed: number
}): SaeWeights {
  const { plan, settings, config, seed } = options
  const { dIn, dSae, dOut } = plan.shape
  checkStart(plan, settings)
  const wDec = drawDecoder({ plan, settings, seed })
  const weights: SaeWeights = {
    wEnc: drawEncoder({ plan, settings, wDec, seed }),
    bEnc: new Float32Array(dSae),
    wDec,
    bDec: new Float32Array(dOut),
  }
  if (plan.selection.kind === 'jumprelu') {
    weights.threshold = new Float32Array(dSae).fill(config.initialThreshold as number)
  }
  if (plan.selection.kind === 'gated') {
    weights.rMag = new Float32Array(dSae)
    weights.bMag = new Float32Array(dSae)
  }
  if (plan.skip) weights.wSkip = new Float32Array(dOut * dIn)
  return weights
}

/** @throws InputError if rows differ in width between W_enc and W_dec, or between groups, and the init needs one width */
export function checkStart(plan: Plan, settings: MemberConfig): void {
  if (settings.decoderInit === 'active_subspace' && plan.groups.length > 1) {
    throw contradiction({
      message: 'the latents write to different layers',
      fields: ['decoder_init', 'family'],
      found: `active_subspace and ${plan.groups.length} groups of latents`,
      expected: 'decoder_init sphere or uniform',
    })
  }
  if (settings.encoderInit === 'random') return
  for (const { reads, writes } of groupRows(plan.groups)) {
    if (reads === writes) continue
    throw contradiction({
      message: 'W_enc cannot start as W_dec when their rows differ in width',
      fields: ['encoder_init', 'hook_out'],
      found: `${settings.encoderInit} with rows of ${reads} and ${writes}`,
      expected: 'encoder_init random',
    })
  }
}

function drawDecoder(options: { plan: Plan; settings: MemberConfig; seed: number }): Float32Array {
  const { plan, settings, seed } = options
  const norm = decoderNorm(plan, settings)
  switch (settings.decoderInit) {
    case 'zero':
      return decoderRows({ plan, norm, draw: () => 0 })
    case 'sphere':
    case 'active_subspace':
      return decoderRows({ plan, norm, draw: gaussianStream({ seed, purpose: sphereDraws }) })
    case 'uniform': {
      const draw = randomStream({ seed, purpose: 'uniform decoder' })
      return decoderRows({ plan, norm, draw: () => 2 * draw() - 1 })
    }
  }
}

/**
 * Decoder rows of `norm`, each norm segment separately (ckkissane's crosscoder sets them per model), entries drawn row by row.
 * Zero rows stay zero.
 */
export function decoderRows(options: { plan: Plan; norm: number; draw: () => number }): Float32Array {
  const { plan, norm, draw } = options
  const wDec = new Float32Array(weightSizes(plan.groups).decoder)
  for (const { output, writes, count, decoderAt } of groupRows(plan.groups)) {
    const segments = plan.normSegments.flatMap(segment => {
      const shared = overlap(segment, output)
      return shared === undefined ? [] : [[shared[0] - output[0], shared[1] - output[0]]]
    })
    const row = new Float64Array(writes)
    for (let i = 0; i < count; i++) {
      const at = decoderAt + i * writes
      for (let j = 0; j < writes; j++) {
        row[j] = draw()
        wDec[at + j] = row[j]
      }
      for (const [from, to] of segments) {
        let square = 0
        for (let j = from; j < to; j++) square += row[j] * row[j]
        if (square === 0) continue
        const length = Math.sqrt(square) / norm
        for (let j = from; j < to; j++) wDec[at + j] /= length
      }
    }
  }
  return wDec
}

/** Unit decoders have norm 1 whatever is configured. */
export const decoderNorm = (plan: Plan, settings: MemberConfig): number =>
  plan.decoder === 'unit' ? 1 : settings.decoderInitNorm

/** W_enc as W_dec times its scale. */
export function tiedEncoder(options: {
  plan: Plan
  settings: MemberConfig
  wDec: Float32Array
}): Float32Array {
  const { plan, settings, wDec } = options
  const ratio = settings.encoderInit === 'tied_ratio' ? plan.shape.dIn / plan.shape.dSae : 1
  return wDec.map(value => value * settings.encoderInitScale * ratio)
}

function drawEncoder(options: {
  plan: Plan
  settings: MemberConfig
  wDec: Float32Array
  seed: number
}): Float32Array {
  const { plan, settings, wDec, seed } = options
  switch (settings.encoderInit) {
    case 'tied':
    case 'tied_ratio':
      return tiedEncoder({ plan, settings, wDec })
    case 'random': {
      const wEnc = new Float32Array(weightSizes(plan.groups).encoder)
      const draw = randomStream({ seed, purpose: 'random encoder' })
      for (const { count, reads, encoderAt } of groupRows(plan.groups)) {
        const bound = 1 / Math.sqrt(reads)
        for (let i = 0; i < count * reads; i++) wEnc[encoderAt + i] = bound * (2 * draw() - 1)
      }
      return wEnc
    }
  }
}

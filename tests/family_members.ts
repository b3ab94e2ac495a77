// One SAE of every family at hook points of the demo model, each with another normalisation or way of handling dead
// latents: what kill tests train.

import { familyNames, type Settings, type TrainMember } from '@mistudio/training'

const hook = (block: number, kind: string) => `blocks.${block}.hook_${kind}`
const one = { inputs: [hook(0, 'resid_post')], outputs: [] }
const pair = { inputs: [hook(0, 'resid_post')], outputs: [hook(1, 'mlp_out')] }

const made: Record<string, Pick<TrainMember, 'inputs' | 'outputs'> & { settings: Settings }> = {
  standard: { ...one, settings: { normalisation: 'expected_average', resample_every_steps: 9 } },
  gated: { ...one, settings: { normalisation: 'token_rms' } },
  topk: { ...one, settings: { k: 8, normalisation: 'layer_norm' } },
  batchtopk: { ...one, settings: { k: 8, normalisation: 'expected_average' } },
  jumprelu: { ...one, settings: { normalisation: 'whiten' } },
  matryoshka: { ...one, settings: { k: 8 } },
  p_anneal: { ...one, settings: { normalisation: 'expected_average' } },
  transcoder: { ...pair, settings: { k: 8 } },
  skip_transcoder: { ...pair, settings: { k: 8 } },
  crosscoder: { inputs: [hook(0, 'resid_post'), hook(1, 'resid_post')], outputs: [], settings: {} },
  cross_layer_transcoder: {
    inputs: [hook(0, 'resid_post'), hook(1, 'resid_post')],
    outputs: [hook(0, 'mlp_out'), hook(1, 'mlp_out')],
    settings: {},
  },
}

/** @throws Error for a family that this file does not know: it has to be added here */
export const familyMembers = (dSae: number): TrainMember[] =>
  familyNames.map(family => {
    const member = made[family]
    if (member === undefined) throw new Error(`${family} has no member in tests/family_members.ts`)
    const { inputs, outputs, settings } = member
    return { name: family, family, inputs, outputs, dSae, settings: { dead_after_tokens: 1500, ...settings } }
  })

// What the parity bench compares: a peer's family and its settings beside ours with the settings that mean the same.
import type { Settings } from '@mistudio/training'

export type ParityCase = {
  name: string
  peer: { name: string; script: string; family: string; settings: Record<string, unknown> }
  family: string
  settings: Settings
  inputs: readonly string[]
  target?: string
  /** Shares of the run. */
  warmUp: number
  decay: number
  /** A known bug of the peer, mended in this row or left in it to show the difference. */
  bug?: { what: string; mended: boolean }
}

const resid = 'blocks.4.hook_resid_post'
const mlp = { inputs: ['blocks.4.hook_resid_mid'], target: 'blocks.4.hook_mlp_out' }
export const parityHooks = [resid, 'blocks.2.hook_resid_post', ...mlp.inputs, mlp.target]

const k = 32
/** λ over E‖x‖ = √256. */
const l1 = 0.64
const usual = { inputs: [resid], warmUp: 0.1, decay: 0.2 }

const saelens = (family: string, settings: Record<string, unknown>) => ({
  name: 'SAELens',
  script: 'saelens_parity.py',
  family,
  settings,
})
/** AuxK and scores as SAELens has them. */
const saelensTopK = {
  score: 'normed',
  decoder: 'free',
  aux_coefficient: 1,
  aux_normalisation: 'none',
  aux_relu: false,
  aux_scale_by_dead: true,
}

const dictionaryLearning = (family: string, settings: Record<string, unknown>) => ({
  name: 'dictionary_learning',
  script: 'dictionary_learning_parity.py',
  family,
  settings,
})
/** The running threshold from the first step, over 100 steps. */
const dlThreshold = { threshold_beta: 0.99, threshold_start_step: 0 }

const sparsify = (family: string) => ({
  name: 'sparsify',
  script: 'sparsify_parity.py',
  family,
  settings: { k },
})

/** `warmUpSteps`: of the penalty. */
export function parityCases({ dSae, warmUpSteps }: { dSae: number; warmUpSteps: number }): ParityCase[] {
  const sparsityWarmUp = { sparsity_warm_up_steps: warmUpSteps }
  const prefixes = [16, 8, 4, 2, 1].map(part => dSae / part)
  const fractions = [1 / 16, 1 / 16, 1 / 8, 1 / 4, 1 / 2]
  const jump = { bandwidth: 0.5, initial_threshold: 0.1 }
  const saelensWarmUp = (name: string) => ({ [`${name}_warm_up_steps`]: warmUpSteps })
  const dlWarmUp = { sparsity_warmup_steps: warmUpSteps }
  const target = { sparsity_loss: 'target_l0', target_l0: k, sparsity_coefficient: 8, ...jump }
  const dlTarget = { target_l0: k, sparsity_penalty: 8, bandwidth: jump.bandwidth, ...dlWarmUp }
  const levels = (weight: number) => ({ prefixes, level_weights: prefixes.map(() => weight) })
  return [
    {
      ...usual,
      name: 'standard',
      peer: saelens('standard', { l1_coefficient: l1, ...saelensWarmUp('l1') }),
      family: 'standard',
      settings: { sparsity_coefficient: l1, decoder: 'free', centred: true, ...sparsityWarmUp },
    },
    {
      ...usual,
      name: 'gated',
      peer: saelens('gated', { l1_coefficient: l1, ...saelensWarmUp('l1') }),
      family: 'gated',
      settings: {
        sparsity_coefficient: l1,
        decoder: 'free',
        frozen_decoder: false,
        adam_beta1: 0.9,
        ...sparsityWarmUp,
      },
    },
    {
      ...usual,
      name: 'topk',
      peer: saelens('topk', { k }),
      family: 'topk',
      settings: { k, ...saelensTopK },
    },
    {
      ...usual,
      name: 'batchtopk',
      peer: saelens('batchtopk', { k }),
      family: 'batchtopk',
      settings: { k, ...saelensTopK },
    },
    {
      ...usual,
      name: 'jumprelu, L0',
      peer: saelens('jumprelu', {
        l0_coefficient: 0.3,
        jumprelu_bandwidth: jump.bandwidth,
        jumprelu_init_threshold: jump.initial_threshold,
        ...saelensWarmUp('l0'),
      }),
      family: 'jumprelu',
      settings: {
        sparsity_coefficient: 0.3,
        ...jump,
        decoder: 'free',
        centred: true,
        adam_beta1: 0.9,
        ...sparsityWarmUp,
      },
    },
    {
      ...usual,
      name: 'matryoshka',
      peer: saelens('matryoshka_batchtopk', { k, matryoshka_widths: prefixes }),
      family: 'matryoshka',
      settings: { k, ...saelensTopK, ...levels(1) },
    },
    {
      ...usual,
      name: 'standard, free rows',
      peer: dictionaryLearning('april', { l1_penalty: l1, ...dlWarmUp }),
      family: 'standard',
      settings: { sparsity_coefficient: l1, decoder: 'free', centred: true, ...sparsityWarmUp },
    },
    {
      ...usual,
      name: 'standard, unit rows',
      peer: dictionaryLearning('standard', { l1_penalty: l1, ...dlWarmUp }),
      family: 'standard',
      settings: { sparsity_coefficient: l1, decoder: 'unit', centred: true, clip_norm: 0, ...sparsityWarmUp },
    },
    {
      ...usual,
      name: 'gated',
      peer: dictionaryLearning('gated', { l1_penalty: l1, ...dlWarmUp }),
      family: 'gated',
      settings: { sparsity_coefficient: l1, decoder: 'unit', clip_norm: 0, ...sparsityWarmUp },
    },
    { ...usual, name: 'topk', peer: dictionaryLearning('topk', { k }), family: 'topk', settings: { k } },
    {
      ...usual,
      name: 'batchtopk',
      peer: dictionaryLearning('batchtopk', { k, ...dlThreshold }),
      family: 'batchtopk',
      settings: { k },
    },
    {
      ...usual,
      name: 'jumprelu, target L0',
      peer: dictionaryLearning('jumprelu', {
        ...dlTarget,
        initial_threshold: jump.initial_threshold,
        mended: true,
      }),
      family: 'jumprelu',
      settings: { ...target, decoder: 'unit', centred: false, ...sparsityWarmUp },
      bug: { what: 'the step of the sparsity loss reads the activation after the jump', mended: true },
    },
    {
      ...usual,
      name: 'jumprelu, target L0, as it is',
      peer: dictionaryLearning('jumprelu', { ...dlTarget, initial_threshold: jump.initial_threshold }),
      family: 'jumprelu',
      settings: { ...target, decoder: 'unit', centred: false, ...sparsityWarmUp },
      bug: { what: 'the step of the sparsity loss reads the activation after the jump', mended: false },
    },
    {
      ...usual,
      name: 'matryoshka',
      peer: dictionaryLearning('matryoshka', {
        k,
        ...dlThreshold,
        group_fractions: fractions,
        group_weights: fractions.map(() => 1),
        mended: true,
      }),
      family: 'matryoshka',
      settings: { k, ...levels(1) },
      bug: { what: 'the reconstruction terms are weighted 1/n²', mended: true },
    },
    {
      ...usual,
      name: 'matryoshka, as it is',
      peer: dictionaryLearning('matryoshka', { k, ...dlThreshold, group_fractions: fractions }),
      family: 'matryoshka',
      settings: { k, ...levels(1) },
      bug: { what: 'the reconstruction terms are weighted 1/n²', mended: false },
    },
    ...(['transcoder', 'skip_transcoder'] as const).map(
      (family): ParityCase => ({
        ...usual,
        ...mlp,
        decay: 0.9,
        name: family,
        peer: sparsify(family),
        family,
        settings: { k, clip_norm: 0, aux_coefficient: 0 },
      }),
    ),
    {
      ...usual,
      name: 'crosscoder',
      inputs: ['blocks.2.hook_resid_post', resid],
      peer: {
        name: 'the published loss in PyTorch',
        script: '../../oracle/crosscoder_reference.py',
        family: 'crosscoder',
        settings: { l1, l1_warm_up_steps: warmUpSteps },
      },
      family: 'crosscoder',
      settings: { sparsity_coefficient: l1, ...sparsityWarmUp },
    },
  ]
}

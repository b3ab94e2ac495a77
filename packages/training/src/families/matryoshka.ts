// Matryoshka SAEs: a BatchTopK whose first latents must reconstruct on their own, at several nested widths, so that general
// features stay general. The reconstructions are summed with weight 1 each, as in the paper; dictionary_learning divides
// by n twice (1/n²), which makes AuxK n² times stronger relative to them.
import { InputError } from '@mistudio/files'
import { randomStream } from '@mistudio/tensor'
import { defineFamily } from '../family.ts'
import { wireName } from '../fields.ts'
import { basePlan, type Level } from '../plan.ts'
import { batchTopKFields } from './batchtopk.ts'
import { annealedK, auxPlan, completeSelecting, mostK } from './parts.ts'
import { contradiction } from './shared.ts'

/** 1/16, 1/8, 1/4, 1/2, 1 of the latents: groups of 1/16, 1/16, 1/8, 1/4 and 1/2. */
const fractions = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]

export const matryoshka = defineFamily({
  name: 'matryoshka',
  title: 'Matryoshka',
  summary: 'BatchTopK with nested reconstructions by the first latents.',
  paper: {
    title: 'Learning Multi-Level Features with Matryoshka Sparse Autoencoders (Bussmann et al. 2025)',
    where: 'arXiv 2503.17547',
  },
  formula: [
    'f as in batchtopk',
    'x̂_w = f_1…w W_dec,1…w + b_dec for the widths w_1 < … < w_n = d_sae',
    'L = Σ_w weight_w · mean ‖x̂_w − x‖² + α · AuxK   (of the full width)',
  ],
  hooks: 'one',
  fields: {
    ...batchTopKFields,
    prefixSampling: {
      kind: 'choice',
      label: 'Prefixes',
      default: 'fixed',
      choices: ['fixed', 'pareto', 'log_uniform'],
      help:
        'fixed: the widths of prefixes; pareto: redrawn every step with density ∝ 1/√width; log_uniform: with ' +
        'density ∝ 1/width. The full width is always included.',
      source: 'Bussmann et al. 2025: fixed; pareto: noanabeshima/matryoshka-saes (pareto_power 0.5)',
    },
    prefixes: {
      kind: 'integers',
      label: 'Widths',
      default: null,
      min: 1,
      unit: 'latents',
      help: 'Ascending widths of the nested reconstructions; d_sae is added if missing. For fixed prefixes.',
      chosen: 'by prefix_fractions',
      source: 'SAELens matryoshka_widths',
    },
    prefixFractions: {
      kind: 'numbers',
      label: 'Widths as shares',
      default: null,
      min: 0,
      max: 1,
      unit: 'of d_sae',
      help: 'The widths as fractions of d_sae, instead of prefixes, so that one setting suits SAEs of any width.',
      chosen: '1/16, 1/8, 1/4, 1/2, 1',
      source:
        'bartbussmann/matryoshka_sae (groups of 1/16, 1/16, 1/8, 1/4, 1/2); dictionary_learning_demo: 1/32, 3/32, 7/32, 15/32, 1',
    },
    levelWeights: {
      kind: 'numbers',
      label: 'Weights',
      default: null,
      min: 0,
      help: 'Weight of each nested reconstruction, one per prefix. For fixed prefixes.',
      chosen: '1 each',
      source: 'Bussmann et al. 2025 and SAELens: 1 each; dictionary_learning: 1/n² each',
    },
    sampledPrefixes: {
      kind: 'integer',
      label: 'Drawn widths',
      default: 10,
      min: 2,
      max: 1000,
      unit: 'per step',
      help: 'Nested reconstructions per step, including the full width. For drawn prefixes.',
      source: 'noanabeshima/matryoshka-saes',
    },
    leastPrefix: {
      kind: 'integer',
      label: 'Least width',
      default: 1,
      min: 1,
      unit: 'latents',
      help: 'The smallest width that may be drawn.',
      source: 'noanabeshima/matryoshka-saes min_prefix_length 1',
    },
  },
  defaults: {},
  complete(config, member, context) {
    const { dSae } = context.shape
    const fixed = config.prefixSampling === 'fixed'
    for (const key of ['prefixes', 'prefixFractions', 'levelWeights'] as const) {
      if (fixed || config[key] === null) continue
      throw contradiction({
        message: 'the widths are drawn at random each step',
        fields: [wireName(key), 'prefix_sampling'],
        found: `${config[key].join(',')} and ${config.prefixSampling}`,
        expected: 'prefix_sampling fixed',
      })
    }
    if (config.prefixes !== null && config.prefixFractions !== null) {
      throw contradiction({
        message: 'both set the widths to reconstruct',
        fields: ['prefixes', 'prefix_fractions'],
        found: `${config.prefixes.join(',')} and ${config.prefixFractions.join(',')}`,
        expected: 'one of them',
      })
    }
    if (!fixed && config.leastPrefix + config.sampledPrefixes - 1 > dSae) {
      throw contradiction({
        message: 'there are not that many widths to draw',
        fields: ['sampled_prefixes', 'd_sae'],
        found: `${config.sampledPrefixes} from ${config.leastPrefix} to ${dSae}`,
        expected: `at most ${dSae - config.leastPrefix + 1}`,
      })
    }
    const prefixes = fixed
      ? completePrefixes(config.prefixes ?? widthsOf(config.prefixFractions ?? fractions, dSae), dSae)
      : null
    const levelWeights = fixed ? (config.levelWeights ?? prefixes!.map(() => 1)) : null
    if (levelWeights !== null && levelWeights.length !== prefixes!.length) {
      throw contradiction({
        message: 'every width needs a weight',
        fields: ['level_weights', 'prefixes'],
        found: `${levelWeights.length} weights and ${prefixes!.length} widths (${prefixes!.join(', ')})`,
        expected: `${prefixes!.length} weights`,
      })
    }
    return completeSelecting({ ...config, prefixes, levelWeights }, member, context)
  },
  plan(config, member, { shape }) {
    const { k, score, thresholdDecay, prefixes, levelWeights } = config
    return {
      ...basePlan(shape),
      centred: config.centred,
      selection: { kind: 'batchtopk', ...mostK(config), k, score, thresholdDecay },
      auxK: auxPlan(config),
      ...(config.prefixSampling === 'fixed' ? {} : { mostLevels: config.sampledPrefixes }),
      levels: prefixes?.map((width, i) => ({ width, weight: levelWeights![i] })) ?? basePlan(shape).levels,
      decoder: config.decoder,
      deadAfterTokens: member.deadAfterTokens!,
    }
  },
  dynamics(config, _member, { step, seed, shape }) {
    const levels =
      config.prefixSampling === 'fixed'
        ? {}
        : {
            levels: drawnLevels({
              sampling: config.prefixSampling,
              count: config.sampledPrefixes,
              least: config.leastPrefix,
              dSae: shape.dSae,
              step,
              seed,
            }),
          }
    return { sparsity: 1, p: 1, ...annealedK(config, step), ...levels }
  },
})

/** The widths for these fractions; narrow SAEs may get fewer widths than fractions. */
const widthsOf = (shares: readonly number[], dSae: number): readonly number[] => [
  ...new Set(shares.map(share => Math.max(1, Math.floor(share * dSae)))),
]

/** Ascending widths, the last d_sae. @throws InputError naming prefixes, and d_sae if they exceed it */
function completePrefixes(given: readonly number[], dSae: number): readonly number[] {
  for (const [i, width] of given.entries()) {
    if (width > dSae) {
      throw contradiction({
        message: 'a prefix is wider than the SAE',
        fields: ['prefixes', 'd_sae'],
        found: `${width} of ${dSae}`,
        expected: `widths up to d_sae, ${dSae}`,
      })
    }
    if (i > 0 && width <= given[i - 1]) {
      throw new InputError({
        message: 'prefixes must ascend',
        field: 'prefixes',
        found: given.join(','),
        expected: `a width above ${given[i - 1]} after it`,
      })
    }
  }
  return given.at(-1) === dSae ? given : [...given, dSae]
}

/** `count` different widths, the last d_sae: a pure function of (seed, step). */
export function drawnLevels(options: {
  sampling: 'pareto' | 'log_uniform'
  count: number
  least: number
  dSae: number
  step: number
  seed: number
}): readonly Level[] {
  const { sampling, count, least, dSae, step, seed } = options
  const draw = randomStream({ seed, purpose: `matryoshka prefixes ${step}` })
  const span = dSae - least
  const widths = new Set([dSae])
  while (widths.size < count) {
    const u = draw()
    const width =
      sampling === 'pareto' ? least + Math.floor(span * u * u) : Math.floor(least * (dSae / least) ** u)
    widths.add(Math.min(dSae, Math.max(least, width)))
  }
  return [...widths].sort((a, b) => a - b).map(width => ({ width, weight: 1 }))
}

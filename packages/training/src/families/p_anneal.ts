// p-annealing: an L1 penalty gradually becomes an Lp with p below 1, closer to counting latents than to summing their
// size. Whenever p falls, λ is rescaled so that the penalty keeps its value (by the learner, see `lp` in plan.ts).
import { defineFamily } from '../family.ts'
import { basePlan } from '../plan.ts'
import { freeOrUnit, subtractBDec, warmedUp } from './parts.ts'
import { completeShared, contradiction, lengthUnit, scaleText, shareOfRun, unitNotZero } from './shared.ts'
import { sparsityCoefficient } from './standard.ts'

export const pAnneal = defineFamily({
  name: 'p_anneal',
  title: 'p-annealing',
  summary: 'An L1 penalty annealed to Lp with p below 1.',
  paper: {
    title: 'Measuring Progress in Dictionary Learning (Karvonen et al. 2024)',
    where: 'arXiv 2408.00113',
  },
  formula: [
    'π = (x − b_dec) W_encᵀ + b_enc',
    'f = ReLU(π)',
    'x̂ = f W_dec + b_dec',
    'L = mean ‖x̂ − x‖² + λ_p · mean Σ f_i^p',
    'p falls from p_start to p_end; when p becomes q, λ_q = λ_p · mean Σ f^p / mean Σ f^q',
  ],
  hooks: 'one',
  fields: {
    sparsityCoefficient: {
      ...sparsityCoefficient,
      chosen: `0.01·s; ${scaleText}`,
      source: 'dictionary_learning_demo 0.006 to 0.025 at s = 1; trainer default 0.1',
    },
    pStart: {
      kind: 'number',
      label: 'p at the start',
      default: 1,
      above: 0,
      max: 2,
      help: 'Exponent before annealing.',
      source: 'the paper and dictionary_learning: 1',
    },
    pEnd: {
      kind: 'number',
      label: 'p at the end',
      default: 0.2,
      above: 0,
      max: 2,
      help: 'Exponent reached at the last step of annealing.',
      source: 'the paper and dictionary_learning_demo: 0.2; trainer default 0',
    },
    annealStartStep: {
      kind: 'integer',
      label: 'Annealing from',
      default: null,
      min: 0,
      unit: 'steps',
      help: 'p stays at p_start until this step.',
      chosen: 'the smaller of 10,000 and a fifth of the run',
      source: 'dictionary_learning_demo 10,000; trainer default 15,000',
    },
    annealEndStep: {
      kind: 'integer',
      label: 'Annealing to',
      default: null,
      min: 1,
      unit: 'steps',
      help: 'p is p_end from this step on.',
      chosen: 'four fifths of the run, so that p_end is trained with',
      source: 'dictionary_learning: the end of the run, where p_end itself is never used',
    },
    pSteps: {
      kind: 'integer',
      label: 'Values of p',
      default: 10,
      min: 2,
      max: 100_000,
      help: 'How many values p takes, evenly spaced from p_start to p_end.',
      source: 'dictionary_learning n_sparsity_updates 10',
    },
    decoder: { ...freeOrUnit, default: 'unit', source: 'the paper and dictionary_learning: unit' },
    centred: { ...subtractBDec, default: true, source: 'dictionary_learning: yes' },
  },
  defaults: {
    normalisation: 'unit_mean_square',
    bDecInit: 'zero',
  },
  complete(config, member, context) {
    const { totalSteps, shape } = context
    unitNotZero(config.decoder, member)
    const annealStartStep = config.annealStartStep ?? Math.min(10_000, Math.floor(totalSteps / 5))
    const annealEndStep = config.annealEndStep ?? Math.max(annealStartStep + 1, Math.floor(totalSteps * 0.8))
    if (annealStartStep >= annealEndStep) {
      throw contradiction({
        message: 'the annealing ends before it starts',
        fields: ['anneal_start_step', 'anneal_end_step'],
        found: `${annealStartStep} and ${annealEndStep}`,
        expected: 'anneal_start_step before anneal_end_step',
      })
    }
    if (config.pEnd > config.pStart) {
      throw contradiction({
        message: 'p must not rise',
        fields: ['p_end', 'p_start'],
        found: `${config.pEnd} and ${config.pStart}`,
        expected: 'p_end at most p_start',
      })
    }
    return {
      config: {
        ...config,
        sparsityCoefficient: config.sparsityCoefficient ?? 0.01 * lengthUnit(member, shape.dIn),
        annealStartStep,
        annealEndStep,
      },
      member: completeShared({
        member,
        context,
        rate: 5e-5,
        sparsityWarmUpSteps: shareOfRun(context, 0.1, 2000),
      }),
    }
  },
  plan(config, member, { shape }) {
    return {
      ...basePlan(shape),
      centred: config.centred,
      selection: { kind: 'relu' },
      penalty: {
        kind: 'lp',
        coefficient: config.sparsityCoefficient!,
        normWeighted: config.decoder === 'free',
      },
      decoder: config.decoder,
      deadAfterTokens: member.deadAfterTokens!,
    }
  },
  dynamics: (config, member, { step }) => ({
    sparsity: warmedUp(step, member.sparsityWarmUpSteps),
    p: annealedP(
      {
        from: config.annealStartStep!,
        to: config.annealEndStep!,
        start: config.pStart,
        end: config.pEnd,
        values: config.pSteps,
      },
      step,
    ),
  }),
})

/** A staircase: the first value up to `from`, the last from `to` on, changes evenly spaced between. */
export function annealedP(
  schedule: { from: number; to: number; start: number; end: number; values: number },
  step: number,
): number {
  const { from, to, start, end, values } = schedule
  const done = Math.min(1, Math.max(0, (step - from) / (to - from)))
  const stair = Math.floor(done * (values - 1) + 1e-9)
  return start + ((end - start) * stair) / (values - 1)
}

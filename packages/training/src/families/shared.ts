// Completes the settings that every family shares: the rate, the warm-ups, when a latent is dead. Families differ in the
// paper's rate and in how long their penalty warms up; the rest is one rule.
import { InputError } from '@mistudio/files'
import type { FamilyContext, MemberConfig } from '../family.ts'

/** Runs shorter than this use `shortRunFactor` times the paper's rate, which is meant for billions of tokens. */
const shortRunTokens = 10_000_000
const shortRunFactor = 4

/**
 * dictionary_learning's rate for L1, for short runs: W_dec starts at a tenth of its norm, and at 2e-4 a thousand steps leave
 * twice as many latents active at the same error (known directions in 64 dimensions, L0 113 against 66 at FVU 0.06).
 */
export const shortL1Rate = 1e-3

/** dictionary_learning's rate for TopK, 2e-4 / √(d_sae / 2^14), read from figure 3 of Gao et al. 2024. */
export const rateByWidth = (dSae: number): number => 2e-4 / Math.sqrt(dSae / 2 ** 14)

/**
 * Chooses what is null.
 * `rate`: the paper's; `shortRunRate`: below 10 M tokens, instead of four times that; `sparsityWarmUpSteps`: of the
 * penalty, 0 if there is none.
 * @throws InputError for shared settings that contradict each other
 */
export function completeShared(options: {
  member: MemberConfig
  context: FamilyContext
  rate: number
  shortRunRate?: number
  sparsityWarmUpSteps: number
}): MemberConfig {
  const { member, context, rate, shortRunRate = shortRunFactor * rate, sparsityWarmUpSteps } = options
  const { totalSteps, trainTokens } = context
  if (member.decoderInit === 'zero' && member.encoderInit !== 'random') {
    throw contradiction({
      message: 'W_enc would start at zero and no gradient would flow',
      fields: ['encoder_init', 'decoder_init'],
      found: `${member.encoderInit} and zero`,
      expected: 'encoder_init random with decoder_init zero',
    })
  }
  return {
    ...member,
    learningRate: member.learningRate ?? (trainTokens < shortRunTokens ? shortRunRate : rate),
    warmUpSteps: member.warmUpSteps ?? Math.min(1000, Math.ceil(totalSteps / 10)),
    sparsityWarmUpSteps: member.sparsityWarmUpSteps ?? sparsityWarmUpSteps,
    deadAfterTokens:
      member.deadAfterTokens ?? Math.max(1, Math.min(10_000_000, Math.floor(trainTokens / 10))),
  }
}

/**
 * E‖x‖ after normalisation: 1 or √d. Lengths such as thresholds scale with it, and so does the weight of an L1
 * (the error grows as its square); the weight of an L0 scales with its square. Unknown without normalisation: taken as √d.
 */
export const lengthUnit = (member: MemberConfig, width: number): number =>
  member.normalisation === 'unit_mean_square' ? 1 : Math.sqrt(width)

/** What field texts call that length. */
export const scaleText = 's = 1 for normalisation unit_mean_square, √d_in otherwise'

/** Steps in a share of the run, at most `most`. */
export const shareOfRun = (context: FamilyContext, share: number, most = Number.MAX_SAFE_INTEGER): number =>
  Math.min(most, Math.ceil(context.totalSteps * share))

/** An error naming two contradictory fields. */
export function contradiction(options: {
  message: string
  fields: readonly [string, string]
  found: string
  expected: string
}): InputError {
  const { message, fields, found, expected } = options
  const field = fields.join(' and ')
  return new InputError({ message: `${field} contradict each other: ${message}`, field, found, expected })
}

/** @throws InputError naming `name` and d_sae if the value exceeds the number of latents */
export function atMostLatents(name: string, value: number, context: FamilyContext): void {
  const { dSae } = context.shape
  if (value <= dSae) return
  throw contradiction({
    message: 'there are not that many latents',
    fields: [name, 'd_sae'],
    found: `${value} of ${dSae}`,
    expected: `${name} at most d_sae, ${dSae}`,
  })
}

/** @throws InputError if a decoder of unit rows starts at zero: its rows have no direction to normalise */
export function unitNotZero(decoder: string, member: MemberConfig): void {
  if (decoder !== 'unit' || member.decoderInit !== 'zero') return
  throw contradiction({
    message: 'rows of norm 1 cannot start at zero',
    fields: ['decoder', 'decoder_init'],
    found: 'unit and zero',
    expected: 'decoder free with decoder_init zero',
  })
}

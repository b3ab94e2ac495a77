// What a family is, and the settings all families share. A new family is one file in families/ and one line in
// families.ts: a table of fields, defaults with their source, and the plan that follows from them.
import type { HookUse } from '@mistudio/contract'
import type { HookSpan, SaeShape } from '@mistudio/sae'
import { type ConfigOf, type FieldTable, fieldTable } from './fields.ts'
import type { Dynamics, Plan } from './plan.ts'

/** Settings of one SAE that every family has: optimiser, schedules, normalisation, initialisation, dead latents. */
export const memberFields = fieldTable({
  learningRate: {
    group: 'optimiser',
    kind: 'number',
    label: 'Learning rate',
    default: null,
    above: 0,
    max: 1,
    help: "Adam's rate after the warm-up.",
    chosen: 'by family, width and length of the run',
    source:
      "the family's paper: 5e-5 for L1, gated and crosscoders, 7e-5 for JumpReLU, 2e-4/√(d_sae/2^14) for TopK; below 10 M tokens four times that, 1e-3 for L1 and crosscoders (dictionary_learning)",
  },
  learningRateSchedule: {
    group: 'schedule',
    kind: 'choice',
    label: 'Schedule',
    default: 'linear',
    choices: ['constant', 'linear', 'cosine'],
    help: 'After the warm-up: constant; constant, then linear to 0 over the decay; cosine from the end of the warm-up to 0.',
    source: 'Anthropic, April 2024; dictionary_learning_demo',
  },
  warmUpSteps: {
    group: 'schedule',
    kind: 'integer',
    label: 'Warm-up',
    default: null,
    min: 0,
    unit: 'steps',
    help: 'Steps over which the rate rises linearly.',
    chosen: 'the smaller of 1,000 and a tenth of the run',
    source: 'dictionary_learning and sparsify 1,000; Anthropic, April 2024, and SAELens: none',
  },
  decayFraction: {
    group: 'schedule',
    kind: 'number',
    label: 'Decay',
    default: 0.2,
    min: 0,
    max: 1,
    help: 'The final share of the run over which the rate falls.',
    source: 'Anthropic April 2024; dictionary_learning demo',
  },
  adamBeta1: {
    group: 'optimiser',
    kind: 'number',
    label: 'Adam β1',
    default: 0.9,
    min: 0,
    max: 0.999999,
    help: 'Decay of the first moment.',
    source: 'Kingma & Ba 2015; 0 in Gated and JumpReLU (Rajamanoharan et al. 2024)',
  },
  adamBeta2: {
    group: 'optimiser',
    kind: 'number',
    label: 'Adam β2',
    default: 0.999,
    min: 0,
    max: 0.9999999,
    help: 'Decay of the second moment.',
    source: 'Kingma & Ba 2015; every other tool, except Bussmann et al. (0.99)',
  },
  adamEpsilon: {
    group: 'optimiser',
    kind: 'number',
    label: 'Adam ε',
    default: 1e-8,
    above: 0,
    max: 1,
    help: "Adam's ε.",
    source: 'PyTorch; OpenAI 6.25e-10',
  },
  clipNorm: {
    group: 'optimiser',
    kind: 'number',
    label: 'Clip norm',
    default: 1,
    min: 0,
    help: 'Largest L2 norm of the whole gradient; 0 for none.',
    source: 'Anthropic, April 2024, SAELens and dictionary_learning 1; OpenAI and sparsify: none',
  },
  sparsityWarmUpSteps: {
    group: 'schedule',
    kind: 'integer',
    label: 'Sparsity warm-up',
    default: null,
    min: 0,
    unit: 'steps',
    help: 'Steps over which the coefficient of the sparsity penalty rises linearly.',
    chosen: 'by family',
    source:
      'Anthropic, April 2024: 5 % of the run, January 2025: all of it; dictionary_learning 2,000; Gemma Scope 10,000',
  },
  normalisation: {
    group: 'common',
    kind: 'choice',
    label: 'Normalisation',
    default: 'none',
    choices: ['none', 'expected_average', 'unit_mean_square', 'token_rms', 'layer_norm', 'whiten'],
    help:
      'none; expected_average: one scalar that gives E‖x‖ = √d, folded on save; unit_mean_square: one that gives E‖x‖² = 1 ' +
      '(dictionary_learning, Gemma Scope), folded on save; token_rms: every row to norm √d; layer_norm: ' +
      'every row to mean 0 and variance 1; whiten: decorrelated (covariance, folded on save).',
    source:
      'Anthropic and SAELens: expected_average; dictionary_learning and Gemma Scope: unit_mean_square; Bussmann et al.: layer_norm',
  },
  bDecInit: {
    group: 'initialisation',
    kind: 'choice',
    label: 'b_dec starts at',
    default: 'geometric_median',
    choices: ['zero', 'mean', 'geometric_median'],
    help: 'Initial decoder bias, computed over the first batch.',
    source:
      'OpenAI and dictionary_learning (TopK): geometric_median; sparsify: mean; Anthropic and SAELens: zero',
  },
  encoderInit: {
    group: 'initialisation',
    kind: 'choice',
    label: 'W_enc starts as',
    default: 'tied',
    choices: ['tied', 'tied_ratio', 'random'],
    help:
      'tied: W_dec, times encoder_init_scale; tied_ratio: also times d_in / d_sae (Anthropic, January 2025); random: its ' +
      'own draw, uniform within ±1/√d_in.',
    source: 'every other tool: tied; sparsify: random for transcoders',
  },
  bEncInit: {
    group: 'initialisation',
    kind: 'choice',
    label: 'b_enc starts at',
    default: 'zero',
    choices: ['zero', 'centre', 'firing_rate'],
    help:
      'zero; centre: −W_enc times the mean of the first batch (sparsify, transcoders); firing_rate: every latent ' +
      'fires on 10,000 / d_sae of the first batch, at most half (Anthropic, January 2025).',
    source: 'every other tool: zero; sparsify: centre for transcoders; Anthropic, January 2025: firing_rate',
  },
  encoderInitScale: {
    group: 'initialisation',
    kind: 'number',
    label: 'W_enc scale',
    default: 1,
    above: 0,
    help: 'A tied W_enc is W_dec times this.',
    source: 'Gao et al. 2024 and dictionary_learning (TopK) 1',
  },
  decoderInit: {
    group: 'initialisation',
    kind: 'choice',
    label: 'W_dec starts as',
    default: 'sphere',
    choices: ['sphere', 'uniform', 'zero', 'active_subspace'],
    help:
      'sphere: random directions of norm decoder_init_norm; uniform: Kaiming-uniform entries, rows set to that norm; zero; ' +
      'active_subspace: random directions in the span of the data (arXiv 2508.16929).',
    source:
      'OpenAI and Anthropic: sphere; SAELens, Gemma Scope and Bussmann et al.: uniform; sparsify: zero for transcoders',
  },
  decoderInitNorm: {
    group: 'initialisation',
    kind: 'number',
    label: 'W_dec row norm',
    default: 1,
    above: 0,
    help: 'Initial norm of the decoder rows; unit decoders keep 1.',
    source: 'unit decoders 1; Anthropic, April 2024, and SAELens 0.1',
  },
  initNormSearch: {
    group: 'initialisation',
    kind: 'flag',
    label: 'Search for the norm',
    default: false,
    help: 'Chooses decoder_init_norm from a grid by the reconstruction error of the first batch (Llamascopium).',
    source: 'Llamascopium grid_search_init_norm false',
  },
  deadAfterTokens: {
    group: 'dead latents',
    kind: 'integer',
    label: 'Dead after',
    default: null,
    min: 1,
    unit: 'tokens',
    help: 'A latent is dead when it has not fired for this many tokens.',
    chosen: 'the smaller of 10 M and a tenth of the run',
    source: 'OpenAI, dictionary_learning and sparsify: 10 M; SAELens: 1,000 steps',
  },
  resampleEverySteps: {
    group: 'dead latents',
    kind: 'integer',
    label: 'Resample every',
    default: 0,
    min: 0,
    unit: 'steps',
    help: 'Steps between restarts of dead latents from inputs with a large error (Bricken et al. 2023); 0: never.',
    source:
      'Anthropic since April 2024, SAELens 6: never; Bricken et al. 2023: 25,000; dictionary_learning: optional',
  },
} as const)
export type MemberConfig = ConfigOf<typeof memberFields>

/** What a configuration is checked against. */
export type FamilyContext = {
  shape: SaeShape
  batchSize: number
  totalSteps: number
  trainTokens: number
  /** Hook points whose columns make up x and y, in their order; the same list twice where y is x. */
  inputs: readonly HookSpan[]
  outputs: readonly HookSpan[]
}

export type Paper = { title: string; where: string }

export interface Family<T extends FieldTable = FieldTable> {
  /** Wire name. */
  readonly name: string
  readonly title: string
  /** One sentence for the form. */
  readonly summary: string
  readonly paper: Paper
  /** What is computed and minimised, one formula per line, in plain text. */
  readonly formula: readonly string[]
  readonly hooks: HookUse
  readonly fields: T
  /** Shared settings whose default this family changes. */
  readonly defaults: Partial<MemberConfig>
  /**
   * Fills in nulls and rejects contradictions. Receives the member's settings with `defaults` applied.
   * @throws InputError naming both fields
   */
  complete(
    config: ConfigOf<T>,
    member: MemberConfig,
    context: FamilyContext,
  ): { config: ConfigOf<T>; member: MemberConfig }
  plan(config: ConfigOf<T>, member: MemberConfig, context: FamilyContext): Plan
  /** Default: `sparsity` rises over sparsity_warm_up_steps, everything else is constant. */
  dynamics?(
    config: ConfigOf<T>,
    member: MemberConfig,
    at: { step: number; totalSteps: number; seed: number; shape: SaeShape },
  ): Dynamics
}

/** Keeps a family's own field types; the registry stores them widened. */
export const defineFamily = <const T extends FieldTable>(family: Family<T>): Family<T> => family

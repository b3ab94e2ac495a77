// The settings of a training run with their defaults and checks. What a run does is determined by these, the
// members, the model and the datasets; they are stored in every checkpoint.
import { InputError } from '@mistudio/tensor'
import { type Schedule, topkLearningRate } from './schedule.ts'
import type { ContextSource } from './sources.ts'
import type { TrainMember } from './train.ts'

export type TrainSettings = {
  /** Unmasked tokens to train on, rounded up to whole batches. Passes over the text are repeated as needed. */
  trainTokens: number
  /** Tokens per step; default 1,024. */
  batchSize: number
  /** Tokens captured at once, from which batches are drawn at random; default 65,536. */
  windowTokens: number
  seed: number
  /** Adam's rate; default that of dictionary_learning for the widest member, 2e-4/√(d_sae/2^14), times 4 below 10 M tokens. */
  learningRate: number
  /** Default: the smaller of 1,000 and a tenth of the run's steps. */
  warmUpSteps: number
  /** The last share of the run over which the rate falls to 0; default 0.2. */
  decayFraction: number
  /** Largest L2 norm of the gradient; 0 for none; default 1. */
  clipNorm: number
  /** `expected_average`: activations times one scalar so that E‖x‖ = √d_in, folded on save. Default `none`. */
  normalisation: 'none' | 'expected_average'
  /** Default 0: by time. */
  checkpointEverySteps: number
  /** Default 120. */
  checkpointEverySeconds: number
}

export type CompleteSettings = TrainSettings & {
  totalSteps: number
  windowContexts: number
  schedule: Schedule
  /** @throws InputError when a window holds no whole batch */
  checkWindow(usable: number, window: number): void
}

/** @throws InputError naming the setting, what was found and what would do */
export function completeSettings(options: {
  settings: Partial<TrainSettings> & { trainTokens: number }
  members: readonly TrainMember[]
  source: ContextSource
}): CompleteSettings {
  const { settings: given, members, source } = options
  const { contextSize } = source
  const batchSize = given.batchSize ?? 1024
  whole('train_tokens', given.trainTokens, 1)
  whole('batch_size', batchSize, 1)
  const totalSteps = Math.ceil(given.trainTokens / batchSize)
  const available = source.contexts * contextSize
  if (available < batchSize) {
    throw new InputError({
      message: 'the datasets hold fewer tokens than a batch',
      field: 'batch_size',
      found: `${batchSize} (the training split holds ${available} tokens)`,
      expected: `at most ${available}`,
    })
  }
  checkMembers(members)
  const windowTokens = given.windowTokens ?? 65_536
  whole('window_tokens', windowTokens, 1)
  const widest = Math.max(...members.map(({ dSae }) => dSae))
  const settings: TrainSettings = {
    trainTokens: given.trainTokens,
    batchSize,
    windowTokens,
    seed: given.seed ?? 0,
    learningRate: given.learningRate ?? topkLearningRate(widest) * (given.trainTokens < 10_000_000 ? 4 : 1),
    warmUpSteps: given.warmUpSteps ?? Math.min(1000, Math.ceil(totalSteps / 10)),
    decayFraction: given.decayFraction ?? 0.2,
    clipNorm: given.clipNorm ?? 1,
    normalisation: given.normalisation ?? 'none',
    checkpointEverySteps: given.checkpointEverySteps ?? 0,
    checkpointEverySeconds: given.checkpointEverySeconds ?? 120,
  }
  within('learning_rate', settings.learningRate, Number.MIN_VALUE, 1)
  within('decay_fraction', settings.decayFraction, 0, 1)
  within('clip_norm', settings.clipNorm, 0, Number.MAX_VALUE)
  whole('warm_up_steps', settings.warmUpSteps, 0)
  whole('seed', settings.seed, 0)
  const { learningRate, warmUpSteps, decayFraction } = settings
  return {
    ...settings,
    totalSteps,
    windowContexts: Math.max(
      Math.floor(windowTokens / contextSize),
      Math.ceil((2 * batchSize) / contextSize),
    ),
    schedule: { shape: 'linear', learningRate, warmUpSteps, decayFraction, totalSteps },
    checkWindow(usable, window) {
      if (usable > 0) return
      throw new InputError({
        message: 'a window holds no whole batch of usable tokens',
        field: 'window_tokens',
        found: `${windowTokens} (window ${window})`,
        expected: `more tokens than twice the batch size ${batchSize}`,
      })
    },
  }
}

function checkMembers(members: readonly TrainMember[]): void {
  if (members.length === 0)
    throw new InputError({
      message: 'there is no SAE to train',
      field: 'hook',
      found: '0',
      expected: 'at least 1',
    })
  const names = new Set<string>()
  for (const { name, dSae } of members) {
    whole('d_sae', dSae, 1)
    if (names.has(name))
      throw new InputError({
        message: 'two SAEs of a run have one name',
        field: 'name',
        found: name,
        expected: 'a name used once',
      })
    names.add(name)
  }
}

function whole(field: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return
  throw new InputError({
    message: `${field} is out of range`,
    field,
    found: String(value),
    expected: `a whole number, at least ${least}`,
  })
}

function within(field: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return
  throw new InputError({
    message: `${field} is out of range`,
    field,
    found: String(value),
    expected: `${least} … ${most}`,
  })
}

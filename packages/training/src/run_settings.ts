// The settings of a run, which all its SAEs share: how many tokens, in what batches, when checkpoints are
// written and which are kept, when an SAE may end early. A table of fields like the families', so that the command
// line, the studio and records read one description.
import { InputError, notFound } from '@mistudio/files'
import { byWireName, type ConfigOf, fieldTable, readFields, type Settings, wireName } from './fields.ts'

export const runFields = fieldTable({
  trainTokens: {
    kind: 'integer',
    label: 'Training tokens',
    default: 10_000_000,
    min: 1,
    unit: 'tokens',
    help: 'Unmasked tokens to train on, rounded up to whole batches. The text is repeated as often as needed.',
  },
  batchSize: {
    kind: 'integer',
    label: 'Batch',
    default: 1024,
    min: 1,
    max: 1_048_576,
    unit: 'tokens',
    help: 'Tokens per step.',
  },
  windowTokens: {
    kind: 'integer',
    label: 'Window',
    default: 65_536,
    min: 1,
    unit: 'tokens',
    help: 'Activations captured at once, from which batches are drawn at random. Sets memory use.',
  },
  seed: {
    kind: 'integer',
    label: 'Seed',
    default: 0,
    min: 0,
    max: 0xffff_ffff,
    help: 'Determines initial weights, the order of the text and every other random draw.',
  },
  outlierNormMultiple: {
    kind: 'number',
    label: 'Outlier norm',
    default: 0,
    min: 0,
    unit: '× median norm',
    help: 'Tokens whose activation norm exceeds this multiple of the median are dropped and counted; 0: none.',
    source: 'dictionary_learning max_activation_norm_multiple (10 there, for Qwen)',
  },
  storedDtype: {
    kind: 'choice',
    label: 'Stored as',
    default: 'float32',
    choices: ['float32', 'bfloat16'],
    help: 'Number type of the activation buffer; bfloat16 halves its memory. Training computes in float32.',
  },
  calibrationTokens: {
    kind: 'integer',
    label: 'Calibration',
    default: 100_000,
    min: 0,
    unit: 'tokens',
    help: 'Training tokens used at the end to set the threshold of a BatchTopK SAE so that mean L0 is k; 0: keep its EMA.',
  },
  checkpointEverySteps: {
    kind: 'integer',
    label: 'Checkpoint every',
    default: 0,
    min: 0,
    unit: 'steps',
    help: 'Steps between checkpoints; 0: go by time.',
  },
  checkpointEverySeconds: {
    kind: 'number',
    label: 'Checkpoint every',
    default: 120,
    above: 0,
    unit: 'seconds',
    help: 'Seconds between checkpoints if no steps are given.',
  },
  keepLast: {
    kind: 'integer',
    label: 'Keep newest',
    default: 1,
    min: 1,
    max: 10_000,
    unit: 'checkpoints',
    help: 'How many of the newest checkpoints to keep.',
  },
  keepBest: {
    kind: 'flag',
    label: 'Keep best',
    default: false,
    help: 'Also keeps the best checkpoint: lowest FVU over the steps before it (a tenth of the run, at most about 50), averaged over its SAEs.',
  },
  keepAtEnd: {
    kind: 'flag',
    label: 'Keep at the end',
    default: false,
    help: 'Keeps checkpoints when the run is complete, so that an earlier one can be finalised.',
  },
  diskBudgetBytes: {
    kind: 'integer',
    label: 'Disk budget',
    default: null,
    min: 1,
    unit: 'bytes',
    help: 'Most disk space for checkpoints; the oldest are removed first, the newest is always kept.',
    chosen: 'no limit',
  },
  earlyStopWindowTokens: {
    kind: 'integer',
    label: 'Early stop over',
    default: 0,
    min: 0,
    unit: 'tokens',
    help: 'An SAE ends when its FVU over this many tokens is no better than in every earlier window; 0: never.',
  },
  earlyStopMinGain: {
    kind: 'number',
    label: 'Least gain',
    default: 0.001,
    min: 0,
    max: 1,
    help: 'The fraction by which FVU must fall to count as better.',
  },
  earlyStopFvu: {
    kind: 'number',
    label: 'Target FVU',
    default: null,
    above: 0,
    max: 1,
    help: 'An SAE ends once its FVU over the early-stop window is at most this.',
    chosen: 'none',
  },
} as const)

export type RunConfig = ConfigOf<typeof runFields>
/** What a caller gives; how long to train is required. */
export type GivenRun = Partial<RunConfig> & { trainTokens: number }

/**
 * Settings of a run under their wire names, as the user gives them: only those given, checked.
 * @throws InputError naming the setting, and the nearest if it does not exist
 */
export function givenRun(settings: Settings): GivenRun {
  const known = byWireName(runFields)
  const given = Object.keys(settings).map(name => {
    const found = known.get(name)
    if (found === undefined) throw notFound({ what: 'setting', field: name, name, known: [...known.keys()] })
    return found.key as keyof RunConfig
  })
  const all = readFields(runFields, settings)
  return Object.fromEntries(given.map(key => [key, all[key]])) as GivenRun
}

/** They affect when to save, never what: a resume may change them. */
const bookkeeping: readonly (keyof RunConfig)[] = [
  'checkpointEverySteps',
  'checkpointEverySeconds',
  'keepLast',
  'keepBest',
  'keepAtEnd',
  'diskBudgetBytes',
]

export type Run = RunConfig & { totalSteps: number; windowContexts: number }

/** @throws InputError naming the setting, what was found and what is allowed */
export function completeRun(given: GivenRun, text: { contextSize: number; contexts: number }): Run {
  const { contextSize, contexts } = text
  const named = Object.entries(given).flatMap(([key, value]) =>
    value === undefined ? [] : [[wireName(key), value]],
  )
  const run = readFields(runFields, Object.fromEntries(named) as Settings)
  const available = contextSize * contexts
  if (available < run.batchSize) {
    throw new InputError({
      message: 'the datasets hold fewer tokens than a batch',
      field: 'batch_size',
      found: `${run.batchSize} (the training split holds ${available} tokens)`,
      expected: `at most ${available}`,
    })
  }
  if (run.earlyStopFvu !== null && run.earlyStopWindowTokens === 0) {
    throw new InputError({
      message: 'early_stop_fvu needs a window to measure over',
      field: 'early_stop_fvu, early_stop_window_tokens',
      found: `${run.earlyStopFvu}, 0`,
      expected: 'early_stop_window_tokens above 0, or no early_stop_fvu',
    })
  }
  return {
    ...run,
    totalSteps: Math.ceil(run.trainTokens / run.batchSize),
    windowContexts: Math.max(
      Math.floor(run.windowTokens / contextSize),
      Math.ceil((2 * run.batchSize) / contextSize),
    ),
  }
}

/** The settings that decide the weights, under their wire names. */
export function decidingSettings(run: RunConfig): Record<string, unknown> {
  const keys = (Object.keys(runFields) as (keyof RunConfig)[]).filter(key => !bookkeeping.includes(key))
  return Object.fromEntries(keys.map(key => [wireName(key), run[key]]))
}

/** @throws InputError for a buffer that holds no batch, saying why */
export function checkWindow(options: { run: Run; usable: number; window: number }): void {
  const { run, usable, window } = options
  if (usable >= run.batchSize) return
  if (usable === 0) {
    throw new InputError({
      message: 'every token of a buffer is masked',
      field: 'attention mask',
      found: `0 usable of ${run.windowContexts} contexts (buffer ${window})`,
      expected: 'text with tokens that are not padding or special; tokenize it again',
    })
  }
  throw new InputError({
    message: 'a buffer holds no whole batch of usable tokens',
    field: 'window_tokens',
    found: `${run.windowTokens} (window ${window} has ${usable} usable tokens)`,
    expected: `more tokens than twice the batch size ${run.batchSize}`,
  })
}

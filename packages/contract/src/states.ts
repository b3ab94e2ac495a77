// The state machines: the allowed transitions. Any other transition answers 409.

export type Machine<S extends string> = { readonly entity: string; readonly moves: Record<S, readonly S[]> }

function machine<const S extends string>(entity: string, moves: Record<S, readonly S[]>): Machine<S> {
  return { entity, moves }
}

/** A job's row holds its state. `queued` again after a crash, a lost lease or a resume; only the user pauses. */
export const jobMachine = machine('job', {
  queued: ['running', 'cancelled', 'failed', 'paused'],
  running: ['queued', 'paused', 'completed', 'failed', 'cancelled'],
  paused: ['queued', 'cancelled', 'completed'],
  completed: [],
  failed: [],
  cancelled: [],
})

/** `initializing`: the runner is loading; `cancelled` keeps what was saved if the stop requested it (`kept`). */
export const trainingMachine = machine('training', {
  pending: ['initializing', 'cancelled', 'failed', 'paused'],
  initializing: ['running', 'pending', 'paused', 'cancelled', 'failed', 'completed'],
  running: ['pending', 'paused', 'completed', 'failed', 'cancelled'],
  paused: ['pending', 'cancelled', 'completed', 'failed'],
  completed: [],
  failed: [],
  cancelled: [],
})

export const extractionMachine = machine('extraction', {
  queued: ['extracting', 'cancelled', 'failed'],
  extracting: ['queued', 'completed', 'failed', 'cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
})

export const nlpMachine = machine('nlp', {
  pending: ['processing', 'cancelled', 'failed'],
  processing: ['pending', 'completed', 'failed', 'cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
})

export const tokenizationMachine = machine('tokenization', {
  queued: ['tokenizing', 'cancelled', 'failed'],
  tokenizing: ['queued', 'ready', 'failed', 'cancelled'],
  ready: [],
  failed: [],
  cancelled: [],
})

export type StateOf<M> = M extends Machine<infer S> ? S : never
export type JobStatus = StateOf<typeof jobMachine>
export type TrainingStatus = StateOf<typeof trainingMachine>
export type ExtractionStatus = StateOf<typeof extractionMachine>
export type NlpStatus = StateOf<typeof nlpMachine>
export type TokenizationStatus = StateOf<typeof tokenizationMachine>

export const statesOf = <S extends string>(machine: Machine<S>) => Object.keys(machine.moves) as [S, ...S[]]

export function canMove<S extends string>(machine: Machine<S>, from: S, to: S): boolean {
  return machine.moves[from].includes(to)
}

/** A state without transitions out of it. */
export const isTerminal = <S extends string>(machine: Machine<S>, state: S) =>
  machine.moves[state].length === 0

/** An extraction and its analysis as one displayed state. */
export const stages = [
  'QUEUED',
  'EXTRACTING',
  'NLP_PENDING',
  'NLP_ANALYSIS',
  'COMPLETED',
  'FAILED',
  'CANCELLED',
] as const
export type Stage = (typeof stages)[number]

export function stageOf(extraction: { status: ExtractionStatus; nlp_status: NlpStatus | null }): Stage {
  switch (extraction.status) {
    case 'queued':
      return 'QUEUED'
    case 'extracting':
      return 'EXTRACTING'
    case 'failed':
      return 'FAILED'
    case 'cancelled':
      return 'CANCELLED'
    case 'completed':
      if (extraction.nlp_status === 'pending') return 'NLP_PENDING'
      return extraction.nlp_status === 'processing' ? 'NLP_ANALYSIS' : 'COMPLETED'
  }
}

// Events: the only place that defines channels and event names. A channel is `{entity}/{id}`, an event
// `{entity}:{verb}`; sequence numbers go up by one in each channel; every event's data has `status`.
import { z } from 'zod'
import { count, idOf, share, time } from './base.ts'
import { extractionProgress } from './entities/extraction.ts'
import { jobKinds } from './entities/job.ts'
import { outlierTokens, trainingMember } from './entities/training.ts'
import {
  extractionMachine,
  jobMachine,
  nlpMachine,
  stages,
  statesOf,
  tokenizationMachine,
  trainingMachine,
} from './states.ts'

const failure = { error_message: z.string() }

const trainingState = {
  training_id: idOf('training'),
  status: z.enum(statesOf(trainingMachine)),
}
const trainingMeasured = z.strictObject({
  ...trainingState,
  progress: share,
  step: count,
  total_steps: count,
  tokens: count,
  total_tokens: count,
  tokens_per_second: z.number().min(0),
  eta_seconds: count.nullable(),
  learning_rate: z.number(),
  memory_bytes: count.nullable().meta({ description: 'resident memory of the training process' }),
  outlier_tokens: outlierTokens,
  saes: z.array(trainingMember),
})

const extractionState = {
  extraction_id: idOf('extraction'),
  status: z.enum(statesOf(extractionMachine)),
  nlp_status: z.enum(statesOf(nlpMachine)).nullable(),
  stage: z.enum(stages),
}
const extractionMeasured = z.strictObject({
  ...extractionState,
  phase: z.enum(['loading', 'extracting', 'writing']),
  ...extractionProgress,
})

const tokenizationState = {
  tokenization_id: idOf('tokenization'),
  status: z.enum(statesOf(tokenizationMachine)),
}

/** Data of every event, by its name. */
export const eventData = {
  'training:progress': trainingMeasured,
  'training:checkpoint': z.strictObject({ ...trainingState, step: count }),
  'training:status': z.strictObject({ ...trainingState, error_message: z.string().nullable() }),
  /** SAEs of a training whose own state does not change: one is being retried. */
  'training:members': z.strictObject({ ...trainingState, saes: z.array(trainingMember) }),
  'training:completed': trainingMeasured.omit({
    tokens_per_second: true,
    eta_seconds: true,
    learning_rate: true,
    memory_bytes: true,
  }),
  'training:failed': z.strictObject({ ...trainingState, ...failure }),

  'extraction:progress': extractionMeasured,
  /** Any other state change of the extraction or of its analysis. */
  'extraction:status': z.strictObject({ ...extractionState, error_message: z.string().nullable() }),
  'extraction:completed': extractionMeasured,
  'extraction:failed': extractionMeasured
    .partial()
    .required({ extraction_id: true, status: true })
    .extend(failure),
  'extraction:nlp_progress': z.strictObject({
    ...extractionState,
    nlp_progress: share,
    nlp_processed_count: count,
    nlp_total_count: count,
  }),

  'tokenization:progress': z.strictObject({
    ...tokenizationState,
    progress: share,
    documents: count,
    tokens: count,
  }),
  'tokenization:status': z.strictObject({ ...tokenizationState, error_message: z.string().nullable() }),

  /** Something was created or removed: lists refetch. Channel `jobs/all`; `entity` as in `dataset/ds_…`. */
  'entity:changed': z.strictObject({ entity: z.string(), status: z.enum(['created', 'deleted']) }),
  /** A job changed state. Channel `jobs/all`. */
  'job:status': z.strictObject({
    job_id: idOf('job'),
    kind: z.enum(jobKinds),
    entity: z.string(),
    title: z.string(),
    status: z.enum(statesOf(jobMachine)),
    progress: share,
    error_message: z.string().nullable(),
  }),
} as const

export type EventName = keyof typeof eventData
export type EventData<N extends EventName> = z.infer<(typeof eventData)[N]>
export const eventNames = Object.keys(eventData) as EventName[]

export const channelOf = {
  training: (id: string) => `training/${id}`,
  extraction: (id: string) => `extraction/${id}`,
  tokenization: (id: string) => `tokenization/${id}`,
  jobs: 'jobs/all',
} as const

const channelPattern = /^(training\/train|extraction\/extr|tokenization\/tok)_[0-9a-z]{20}$|^jobs\/all$/
export const channel = z.string().regex(channelPattern, 'a channel like extraction/extr_… or jobs/all')

/** One event of the log, as sent by the socket, the SSE stream and the list of events. */
export type StudioEvent<N extends EventName = EventName> = {
  [M in N]: { seq: number; channel: string; event: M; data: EventData<M>; at: string }
}[N]

const variant = <N extends EventName>(event: N) =>
  z.strictObject({ seq: count, channel, event: z.literal(event), data: eventData[event], at: time })

/** Any event, checked. */
export const studioEvent = z
  .discriminatedUnion('event', eventNames.map(variant) as unknown as [ReturnType<typeof variant>])
  .meta({ id: 'Event' })

/**
 * What a client sends on the socket. `after`: events with a larger sequence number are sent, then everything new.
 * Without it a `snapshot` comes first, the entity as its GET route returns it now (for `jobs/all` the list of active
 * jobs) with its sequence number, then everything after that. `unsubscribe` has no answer.
 */
export const socketRequest = z.union([
  z.strictObject({ subscribe: channel, after: count.optional() }),
  z.strictObject({ unsubscribe: channel }),
])
export type SocketRequest = z.infer<typeof socketRequest>

/** An entity's current state, and the number of its channel's last event. */
export type Snapshot = { seq: number; channel: string; event: 'snapshot'; data: unknown; at: string }

/** What the server sends. */
export type SocketMessage =
  | StudioEvent
  | Snapshot
  | { error: { title: string; field?: string; found?: string; expected?: string } }

export const eventsQuery = z.strictObject({
  channel,
  after: z.coerce.number().int().min(0).default(0),
})

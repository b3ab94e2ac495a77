// Small labels: the state of a thing, its hook type, its place in a batch.
import {
  type ExtractionStatus,
  type HookType,
  type JobStatus,
  type MemberStatus,
  type NlpStatus,
  type Stage,
  stageOf,
  type TokenizationStatus,
  type TrainingStatus,
} from '@mistudio/contract'
import type { ReactNode } from 'react'
import { hookNames } from './format.ts'

const tones = {
  calm: 'bg-hover text-soft border-line',
  live: 'bg-info-soft text-info border-transparent',
  wait: 'bg-warn-soft text-warn border-transparent',
  good: 'bg-accent-soft text-accent border-transparent',
  bad: 'bg-bad-soft text-bad border-transparent',
} as const
type Tone = keyof typeof tones

export function Badge({
  tone = 'calm',
  title,
  children,
}: {
  tone?: Tone
  title?: string
  children: ReactNode
}) {
  return (
    <span
      title={title}
      className={`inline-flex items-center gap-1 rounded-sm border px-1.5 py-px text-xs font-medium whitespace-nowrap ${tones[tone]}`}
    >
      {children}
    </span>
  )
}

export type AnyStatus =
  | Stage
  | JobStatus
  | NlpStatus
  | TrainingStatus
  | ExtractionStatus
  | TokenizationStatus
  | 'error'

const toneOf: Record<AnyStatus, Tone> = {
  QUEUED: 'wait',
  EXTRACTING: 'live',
  NLP_PENDING: 'wait',
  NLP_ANALYSIS: 'live',
  COMPLETED: 'good',
  FAILED: 'bad',
  CANCELLED: 'calm',
  pending: 'wait',
  queued: 'wait',
  paused: 'wait',
  initializing: 'live',
  running: 'live',
  extracting: 'live',
  processing: 'live',
  tokenizing: 'live',
  completed: 'good',
  ready: 'good',
  failed: 'bad',
  error: 'bad',
  cancelled: 'calm',
}

/** Shows the contract's own word, so that pages, API and documents agree. */
export function StatusBadge({ status }: { status: AnyStatus }) {
  const tone = toneOf[status]
  return (
    <Badge tone={tone}>
      <span
        aria-hidden
        className={`size-1.5 rounded-full bg-current ${tone === 'live' ? 'motion-safe:animate-pulse' : ''}`}
      />
      <span data-testid="status">{status}</span>
    </Badge>
  )
}

const memberTones: Record<MemberStatus, Tone> = {
  pending: 'wait',
  training: 'live',
  completed: 'good',
  stopped: 'calm',
  failed: 'bad',
}

/** The state of one SAE in a training. */
export const MemberBadge = ({ status }: { status: MemberStatus }) => (
  <Badge tone={memberTones[status]}>
    <span data-testid="member-status">{status}</span>
  </Badge>
)

/** Extraction and analysis in one word, by `stageOf`. */
export const StageBadge = (props: { of: { status: ExtractionStatus; nlp_status: NlpStatus | null } }) => (
  <StatusBadge status={stageOf(props.of)} />
)

/** `2/3`: the position in a batch. */
export function BatchBadge({ position, total }: { position: number | null; total: number | null }) {
  if (position === null || total === null) return null
  return (
    <Badge title={`number ${position} in a batch of ${total}`}>
      <span className="sr-only">batch </span>
      <span data-testid="batch-position">
        {position}/{total}
      </span>
    </Badge>
  )
}

export const HookBadge = ({ type }: { type: HookType }) => (
  <Badge title={hookNames[type]}>
    <span className="font-mono">{type}</span>
  </Badge>
)

export const HookBadges = ({ types }: { types: readonly HookType[] }) =>
  types.map(type => <HookBadge key={type} type={type} />)

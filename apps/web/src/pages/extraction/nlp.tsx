// The analysis of an extraction's examples: its state and its progress.
import type { Extraction, StudioEvent } from '@mistudio/contract'
import { StatusBadge } from '../../parts/badge.tsx'
import { formatCount } from '../../parts/format.ts'
import { ProgressBar } from '../../parts/progress.tsx'

export function Nlp({ extraction, events }: { extraction: Extraction; events: StudioEvent[] }) {
  const { nlp_status, nlp_progress, nlp_processed_count, nlp_error_message } = extraction
  if (nlp_status === null) return <p className="panel p-3 text-soft">No analysis was requested.</p>
  const total = totalOf(events)
  return (
    <div className="panel space-y-2 p-3" data-testid="nlp">
      <div className="flex flex-wrap items-center gap-3">
        <StatusBadge status={nlp_status} />
        <span className="text-soft">
          {formatCount(nlp_processed_count)}
          {total !== undefined && ` of ${formatCount(total)}`} features analysed
        </span>
      </div>
      <ProgressBar share={nlp_progress} label="Progress of the NLP analysis" />
      {nlp_error_message !== null && (
        <p className={nlp_status === 'failed' ? 'text-bad' : 'text-soft'}>{nlp_error_message}</p>
      )}
    </div>
  )
}

function totalOf(events: StudioEvent[]): number | undefined {
  const last = events.findLast(({ event }) => event === 'extraction:nlp_progress')
  return last?.event === 'extraction:nlp_progress' ? last.data.nlp_total_count : undefined
}

// How far an extraction has got, how fast it runs, and what it has found.
import { type Extraction, type StudioEvent, stageOf } from '@mistudio/contract'
import { formatCount, formatDuration, formatFigure } from '../../parts/format.ts'
import { Definition, Figure } from '../../parts/hint.tsx'
import { Metric, Metrics } from '../../parts/page.tsx'
import { ProgressBar } from '../../parts/progress.tsx'

type Props = { extraction: Extraction }

export function Progress({ extraction, events }: Props & { events: StudioEvent[] }) {
  const stage = stageOf(extraction)
  const running = stage === 'EXTRACTING'
  return (
    <div className="mb-4 space-y-3">
      <ProgressBar share={extraction.progress} label="Progress of the extraction" />
      <Metrics>
        <Metric name="Stage" words note={running ? phaseOf(events) : undefined}>
          {stage}
        </Metric>
        <Metric name="ETA">
          <Figure
            value={running ? extraction.eta_seconds : null}
            format={formatDuration}
            why={running ? 'not known yet' : `the extraction is ${extraction.status}`}
          />
        </Metric>
        <Counters extraction={extraction} />
        <Speed extraction={extraction} running={running} />
        <Found extraction={extraction} />
      </Metrics>
    </div>
  )
}

/** loading, extracting or writing; only events say so. */
function phaseOf(events: StudioEvent[]): string | undefined {
  const last = events.findLast(({ event }) => event === 'extraction:progress')
  return last?.event === 'extraction:progress' ? last.data.phase : undefined
}

const hasStarted = ({ total_batches }: Extraction) => total_batches > 0

function Counters({ extraction }: Props) {
  const { current_batch, total_batches, samples_processed, total_samples } = extraction
  const started = hasStarted(extraction)
  const why = 'known once it has started'
  return (
    <>
      <Metric name="Batch" note={started ? `of ${formatCount(total_batches)}` : undefined}>
        <Figure value={started ? current_batch : null} format={formatCount} why={why} />
      </Metric>
      <Metric
        name="Samples"
        note={started ? `of ${formatCount(total_samples)}` : undefined}
        about={<Definition of="a sample" text="One context of the token store." />}
      >
        <Figure value={started ? samples_processed : null} format={formatCount} why={why} />
      </Metric>
    </>
  )
}

/** Without the unit, which would not fit. */
const perSecond = (value: number) => `${formatFigure(value, 3)}/s`

function Speed({ extraction, running }: Props & { running: boolean }) {
  return (
    <Metric
      name="Speed now"
      note={hasStarted(extraction) ? `mean ${perSecond(extraction.mean_samples_per_second)}` : undefined}
      about={
        <Definition
          of="the speed"
          text="Samples per second over the last few seconds. The mean is over the whole run."
        />
      }
    >
      <Figure
        value={running ? extraction.samples_per_second : null}
        format={perSecond}
        why={`the extraction is ${extraction.status}`}
      />
    </Metric>
  )
}

function Found({ extraction }: Props) {
  const { heap_examples_count, features, features_in_heap } = extraction
  return (
    <>
      <Metric
        name="Examples"
        about={
          <Definition
            of="the number of examples"
            text="Top examples held across all features (heap_examples_count)."
          />
        }
      >
        {formatCount(heap_examples_count)}
      </Metric>
      <Metric
        name="Features found"
        about={
          <Definition
            of="the number of features found"
            text="Features with at least one top example (features_in_heap)."
          />
        }
        note={features === null ? undefined : `of ${formatCount(features)} latents`}
      >
        {formatCount(features_in_heap)}
      </Metric>
    </>
  )
}

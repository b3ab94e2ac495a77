// One extraction, live: its stage, its counters, the three graphs since its beginning, its analysis, its batch.
import { channelOf, type Extraction, type StudioEvent, stageOf } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { TableProperties } from 'lucide-react'
import { type ReactNode, useMemo } from 'react'
import { queries } from '../../api.ts'
import { LineChart } from '../../charts/line_chart.tsx'
import { extractionPoints, type Point } from '../../charts/points.ts'
import { useHistory } from '../../live/live.ts'
import { BatchBadge, StageBadge } from '../../parts/badge.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import {
  formatClock,
  formatCount,
  formatDuration,
  formatFigure,
  formatRate,
  formatShort,
} from '../../parts/format.ts'
import { Definition, Figure } from '../../parts/hint.tsx'
import { Metric, Metrics, Page, Section } from '../../parts/page.tsx'
import { Pending, ProblemBox } from '../../parts/problem.tsx'
import { ProgressBar } from '../../parts/progress.tsx'
import { ExtractionActions } from './actions.tsx'
import { BatchList } from './batch.tsx'
import { Nlp } from './nlp.tsx'

export function ExtractionPage() {
  const { id } = useParams({ from: '/extractions/$id' })
  const extraction = useQuery(queries.extraction(id))
  const above = [
    <TextLink key="extractions" to="/extractions">
      Extractions
    </TextLink>,
  ]
  if (extraction.data === undefined) {
    return (
      <Page title="Extraction" above={above}>
        <Pending query={extraction} what="the extraction" />
      </Page>
    )
  }
  return <Card key={id} extraction={extraction.data} above={above} />
}

function Card({ extraction, above }: { extraction: Extraction; above: ReactNode[] }) {
  const { id, sae_name, model_name, hook_point, dataset_names, batch_id, error_message } = extraction
  const events = useHistory(channelOf.extraction(id))
  const completed = extraction.status === 'completed'
  return (
    <Page
      title={sae_name}
      above={above}
      aside={
        <>
          <StageBadge of={extraction} />
          <BatchBadge position={extraction.batch_position} total={extraction.batch_total} />
        </>
      }
      lead={
        <>
          {model_name}, <span className="font-mono text-xs">{hook_point}</span>, on {dataset_names.join(', ')}
        </>
      }
      actions={
        <>
          <ExtractionActions extraction={extraction} />
          {completed && (
            <LinkButton look="primary" to="/extractions/$id/features" params={{ id }}>
              <TableProperties aria-hidden />
              Features
            </LinkButton>
          )}
        </>
      }
    >
      {error_message !== null && (
        <div className="mb-4">
          <ProblemBox error={error_message} />
        </div>
      )}
      <Progress extraction={extraction} phase={phaseOf(events)} />
      <Graphs events={events} />
      <Section title="NLP analysis">
        <Nlp extraction={extraction} events={events} />
      </Section>
      {batch_id !== null && (
        <Section title="Batch" aside="One at a time; the next begins when the analysis before it has ended">
          <BatchList batchId={batch_id} current={id} />
        </Section>
      )}
      <Settings extraction={extraction} />
    </Page>
  )
}

/** loading, extracting or writing: only events say it. */
function phaseOf(events: StudioEvent[]): string | undefined {
  const last = events.findLast(({ event }) => event === 'extraction:progress')
  return last?.event === 'extraction:progress' ? last.data.phase : undefined
}

function Progress({ extraction, phase }: { extraction: Extraction; phase: string | undefined }) {
  const stage = stageOf(extraction)
  const running = stage === 'EXTRACTING'
  const begun = extraction.total_batches > 0
  const notBegun = 'known when it has begun'
  return (
    <div className="mb-4 space-y-3">
      <ProgressBar share={extraction.progress} label="Progress of the extraction" />
      <Metrics>
        <Metric name="Stage" words note={running ? phase : undefined}>
          {stage}
        </Metric>
        <Metric name="ETA">
          <Figure
            value={running ? extraction.eta_seconds : null}
            format={formatDuration}
            why={running ? 'not known yet' : `the extraction is ${extraction.status}`}
          />
        </Metric>
        <Metric name="Batch" note={begun ? `of ${formatCount(extraction.total_batches)}` : undefined}>
          <Figure value={begun ? extraction.current_batch : null} format={formatCount} why={notBegun} />
        </Metric>
        <Metric
          name="Samples"
          note={begun ? `of ${formatCount(extraction.total_samples)}` : undefined}
          about={<Definition of="a sample" text="A context of the token store." />}
        >
          <Figure value={begun ? extraction.samples_processed : null} format={formatCount} why={notBegun} />
        </Metric>
        <Metric
          name="Speed now"
          note={begun ? `mean ${perSecond(extraction.mean_samples_per_second)}` : undefined}
          about={
            <Definition
              of="the speed"
              text="Samples per second over the last seconds; mean: over the whole run."
            />
          }
        >
          <Figure
            value={running ? extraction.samples_per_second : null}
            format={perSecond}
            why={`the extraction is ${extraction.status}`}
          />
        </Metric>
        <Metric
          name="Examples"
          about={
            <Definition
              of="the number of examples"
              text="Top examples held over all features (heap_examples_count)."
            />
          }
        >
          {formatCount(extraction.heap_examples_count)}
        </Metric>
        <Metric
          name="Features found"
          about={
            <Definition
              of="the number of features found"
              text="Features with at least one top example (features_in_heap)."
            />
          }
          note={extraction.features === null ? undefined : `of ${formatCount(extraction.features)} latents`}
        >
          {formatCount(extraction.features_in_heap)}
        </Metric>
      </Metrics>
    </div>
  )
}

const perSecond = (value: number) => `${formatFigure(value, 3)} /s`

function Graphs({ events }: { events: StudioEvent[] }) {
  const { collected, rate, speed } = useMemo(() => extractionPoints(events), [events])
  return (
    <section aria-label="Graphs" className="mb-6 grid gap-4 lg:grid-cols-3">
      <Graph
        title="Examples Collected"
        about="Top examples held over all features, over time"
        points={collected}
        format={formatCount}
        tick={formatShort}
      />
      <Graph
        title="Collection Rate"
        about="Growth of the examples collected from one report to the next, by the time between them"
        points={rate}
        format={value => formatRate(value, 'examples')}
        tick={formatShort}
      />
      <Graph
        title="Speed"
        about="Samples per second over the last seconds"
        points={speed}
        format={value => formatRate(value, 'samples')}
        tick={formatShort}
      />
    </section>
  )
}

function Graph(props: {
  title: string
  about: string
  points: Point[]
  format: (value: number) => string
  tick: (value: number) => string
}) {
  const { title, about, points, format, tick } = props
  const x = useMemo(() => points.map(({ seconds }) => seconds), [points])
  const series = useMemo(
    () => [{ name: title, colour: 0, values: points.map(({ value }) => value) }],
    [points, title],
  )
  return (
    <LineChart
      title={title}
      about={about}
      xName="time"
      x={x}
      formatX={formatClock}
      formatY={format}
      formatTick={tick}
      series={series}
      points={points.map(({ seq, at, value }) => ({ seq, at, value }))}
    />
  )
}

function Settings({ extraction }: { extraction: Extraction }) {
  const { config, sae_id: _, tokens, features_alive, complete, training_id } = extraction
  const known = (value: number | null) => (value === null ? 'known when it is completed' : formatCount(value))
  const rows: [string, ReactNode][] = [
    ...Object.entries(config).map(([name, value]): [string, string] => [
      name,
      typeof value === 'number' ? formatCount(value) : String(value),
    ]),
    ['tokens read', known(tokens)],
    ['features that fired', known(features_alive)],
    ...(complete === false ? [['ended', 'early; what was read is kept'] as [string, string]] : []),
    [
      'training',
      training_id === null ? (
        'none: the SAE was imported from a folder'
      ) : (
        <TextLink key="training" to="/trainings/$id" params={{ id: training_id }}>
          of this SAE
        </TextLink>
      ),
    ],
  ]
  return (
    <Section title="Settings and result">
      <dl className="panel grid grid-cols-[auto_1fr] gap-x-6 gap-y-1 p-3 sm:grid-cols-[auto_1fr_auto_1fr]">
        {rows.map(([name, value]) => (
          <div key={name} className="col-span-2 grid grid-cols-subgrid">
            <dt className="text-mute">{name}</dt>
            <dd className="break-words">{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}

// One training, live: where it is, what every SAE measures, and the curves since its beginning.
import { channelOf, isTerminal, type Training, trainingMachine } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { PackagePlus } from 'lucide-react'
import { useMemo, useState } from 'react'
import { queries } from '../../api.ts'
import { Frontier } from '../../charts/frontier.tsx'
import { LineChart } from '../../charts/line_chart.tsx'
import { curveOf, type TrainingCurves, trainingCurves } from '../../charts/points.ts'
import { useHistory } from '../../live/live.ts'
import { HookBadge, StatusBadge } from '../../parts/badge.tsx'
import { Button, TextLink } from '../../parts/button.tsx'
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFigure,
  formatShort,
  formatTime,
} from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { Metric, Metrics, Page, Section } from '../../parts/page.tsx'
import { Pending, ProblemBox } from '../../parts/problem.tsx'
import { ProgressBar } from '../../parts/progress.tsx'
import { ImportDialog } from '../saes/import_dialog.tsx'
import { TrainingActions } from './actions.tsx'
import { textOf } from './asked.ts'
import { Checkpoints } from './checkpoints.tsx'
import { Measured } from './measured.tsx'
import { Members } from './members.tsx'
import { Warnings } from './warnings.tsx'

export function TrainingPage() {
  const { id } = useParams({ from: '/trainings/$id' })
  const training = useQuery(queries.training(id))
  const above = [
    <TextLink key="trainings" to="/trainings">
      Trainings
    </TextLink>,
  ]
  if (training.data === undefined) {
    return (
      <Page title="Training" above={above}>
        <Pending query={training} what="the training" />
      </Page>
    )
  }
  return <Card key={id} training={training.data} above={above} />
}

function Card({ training, above }: { training: Training; above: React.ReactNode[] }) {
  const { id, name, status, model_name, dataset_names, hook_types, error_message, saes_available } = training
  const navigate = useNavigate()
  const { dialog } = useSearch({ from: '/trainings/$id' })
  const events = useHistory(channelOf.training(id))
  const curves = useMemo(() => trainingCurves(events), [events])
  const importing = (open: boolean) =>
    navigate({ to: '/trainings/$id', params: { id }, search: open ? { dialog: 'import' } : {} })
  return (
    <Page
      title={name}
      above={above}
      aside={
        <>
          <StatusBadge status={status} />
          {hook_types.map(type => (
            <HookBadge key={type} type={type} />
          ))}
        </>
      }
      lead={
        <>
          {model_name} on {dataset_names.join(', ')}
        </>
      }
      actions={
        <>
          <TrainingActions training={training} />
          <Button
            look={saes_available ? 'primary' : 'plain'}
            disabled={!saes_available}
            title={
              saes_available
                ? undefined
                : 'There are SAEs when the training has ended or was stopped keeping them.'
            }
            onClick={() => importing(true)}
          >
            <PackagePlus aria-hidden />
            Import SAEs
          </Button>
        </>
      }
    >
      {error_message !== null && (
        <div className="mb-4">
          <ProblemBox error={error_message} />
        </div>
      )}
      <Progress training={training} />
      <Warnings training={training} />
      <Section title="SAEs" aside="Means over the steps since the report before">
        <Members training={training} />
      </Section>
      <FrontierSection training={training} />
      <Curves curves={curves} />
      <Measured training={training} />
      <Checkpoints training={training} />
      <Settings training={training} />
      <ImportDialog open={dialog === 'import'} onClose={() => importing(false)} trainingId={id} />
    </Page>
  )
}

function Progress({ training }: { training: Training }) {
  const { status, progress, step, total_steps, tokens, total_tokens, tokens_per_second, eta_seconds } =
    training
  // What was true of the last report is not true of a training that rests.
  const running = status === 'running'
  const ended = isTerminal(trainingMachine, status)
  const leftOut = Object.values(training.outlier_tokens).reduce((sum, count) => sum + count, 0)
  const outliers = leftOut === 0 ? undefined : `${formatCount(leftOut)} outliers left out`
  const notRunning = ended ? 'the training has ended' : `the training is ${status}`
  return (
    <div className="mb-6 space-y-3">
      <ProgressBar share={progress} label="Progress of the training" />
      <Metrics>
        <Metric name="Step" note={total_steps === null ? undefined : `of ${formatCount(total_steps)}`}>
          {formatCount(step)}
        </Metric>
        <Metric name="Tokens" note={`of ${formatCount(total_tokens)}`}>
          {formatCount(tokens)}
        </Metric>
        <Metric name="Speed" note="tokens/s">
          <Figure value={running ? tokens_per_second : null} format={formatCount} why={notRunning} />
        </Metric>
        <Metric name="ETA">
          <Figure
            value={running ? eta_seconds : null}
            format={formatDuration}
            why={running ? 'not known before the first steps' : notRunning}
          />
        </Metric>
        <Metric name="Memory" note={outliers}>
          <Figure value={running ? training.memory_bytes : null} format={formatBytes} why={notRunning} />
        </Metric>
        <Metric name="Started" words>
          <Figure value={training.started_at} format={formatTime} why="it waits for its turn" />
        </Metric>
        <Metric name="Ended" words>
          <Figure value={training.completed_at} format={formatTime} why="it has not ended" />
        </Metric>
      </Metrics>
    </div>
  )
}

/** SAEs to compare: more than one with figures, of different settings. */
function FrontierSection({ training }: { training: Training }) {
  const points = training.saes.flatMap(({ name, inputs, variant, l0, fvu }) =>
    l0 === null || fvu === null || Object.keys(variant).length === 0
      ? []
      : [{ name, group: inputs.join(', '), l0, fvu }],
  )
  if (points.length < 2) return null
  return (
    <Section title="Frontier" aside="FVU against L0 as last measured; down and to the left is better">
      <Frontier points={points} />
    </Section>
  )
}

function Curves({ curves }: { curves: TrainingCurves }) {
  const metrics = useQuery(queries.metrics())
  const told = metrics.data?.data.filter(({ where }) => where.includes('training')) ?? []
  const [shown, setShown] = useState(['fvu', 'loss', 'l0', 'dead_latents'])
  return (
    <section aria-label="Curves" className="mb-6 grid gap-4 lg:grid-cols-2">
      {shown.map((name, i) => {
        const metric = told.find(one => one.name === name)
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: four places, whatever they show
          <div key={i} className="min-w-0">
            {i === shown.length - 1 && told.length > 0 && (
              <label className="mb-1 flex items-center justify-end gap-2 text-xs text-mute">
                Curve of
                <select
                  className="field-box w-auto py-0.5 text-xs"
                  value={name}
                  onChange={event => setShown(shown.with(i, event.target.value))}
                >
                  {told.map(one => (
                    <option key={one.name} value={one.name}>
                      {one.label}
                    </option>
                  ))}
                </select>
              </label>
            )}
            <Curve
              title={metric?.label ?? name}
              about={metric?.definition ?? 'of every SAE'}
              metric={name}
              curves={curves}
            />
          </div>
        )
      })}
    </section>
  )
}

function Curve(props: { title: string; about: string; metric: string; curves: TrainingCurves }) {
  const { title, about, metric, curves } = props
  const { steps, seqs, members } = curves
  const series = useMemo(
    () => [...members].map(([name, told], colour) => ({ name, colour, values: curveOf(told, metric) })),
    [members, metric],
  )
  const points = steps.map((step, i) => ({
    seq: seqs[i],
    step,
    ...Object.fromEntries(series.map(({ name, values }) => [name, values[i]])),
  }))
  return (
    <LineChart
      title={title}
      about={about}
      xName="step"
      x={steps}
      formatX={formatCount}
      formatY={formatFigure}
      formatTick={formatShort}
      series={series}
      points={points}
    />
  )
}

function Settings({ training }: { training: Training }) {
  const { hyperparameters, layers, hook_types, output_hook_type, sweep, dataset_weights } = training
  const rows: [string, string][] = [
    ['layers', layers.join(', ')],
    ['hook types', hook_types.join(', ') + (output_hook_type === null ? '' : ` → ${output_hook_type}`)],
    ...Object.entries(sweep).map(([name, values]): [string, string] => [
      `variants of ${name}`,
      values.map(textOf).join(', '),
    ]),
    ...settingRows(hyperparameters),
  ]
  if (dataset_weights !== null) rows.push(['weights of datasets', dataset_weights.join(', ')])
  return (
    <Section title="Settings">
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

function settingRows({ settings, run, ...rest }: Training['hyperparameters']): [string, string][] {
  return Object.entries({ ...rest, ...settings, ...run })
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name, typeof value === 'number' ? plain(value) : String(value)])
}

const plain = (value: number) => (Number.isInteger(value) ? formatCount(value) : String(value))

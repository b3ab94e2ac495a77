// Everything measured of one SAE, drawn from the table of metrics: the terms of its loss, how well it reconstructs, how
// the run is going, and two histograms. Nothing is said about a metric here but where it is shown.
import type { Metric, Training, TrainingMember } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { queries } from '../../api.ts'
import { type Bin, Histogram } from '../../charts/histogram.tsx'
import { SelectField } from '../../forms/fields.tsx'
import { formatCount, formatMeasured, formatShort } from '../../parts/format.ts'
import { Definition, Figure } from '../../parts/hint.tsx'
import { Section } from '../../parts/page.tsx'

const titles: Record<Metric['group'], string> = {
  loss: 'Loss terms',
  quality: 'Reconstruction and sparsity',
  model: 'Effect on the model',
  run: 'Run',
}

export function Measured({ training }: { training: Training }) {
  const known = useQuery(queries.metrics())
  const [chosen, setChosen] = useState<string>()
  const { saes } = training
  const member = saes.find(({ name }) => name === chosen) ?? saes[0]
  if (known.data === undefined || member === undefined) return null
  const metrics = known.data.data.filter(
    ({ name, where }) => where.includes('training') && name in member.metrics,
  )
  if (metrics.length === 0) return null
  const tokens = member.metrics.step_tokens
  return (
    <Section
      title="Metrics"
      aside={typeof tokens === 'number' && `over ${formatCount(tokens)} tokens since the previous report`}
    >
      <div className="panel space-y-4 p-4" data-testid="measured">
        {saes.length > 1 && (
          <SelectField
            label="SAE"
            className="sm:w-96"
            value={member.name}
            onChange={event => setChosen(event.target.value)}
          >
            {saes.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </SelectField>
        )}
        <div className="grid gap-x-8 gap-y-4 lg:grid-cols-2">
          {(Object.keys(titles) as Metric['group'][]).map(group => (
            <Group
              key={group}
              title={titles[group]}
              metrics={metrics.filter(metric => metric.group === group)}
              member={member}
            />
          ))}
        </div>
        <Histograms member={member} />
      </div>
    </Section>
  )
}

function Group(props: { title: string; metrics: Metric[]; member: TrainingMember }) {
  const { title, metrics, member } = props
  if (metrics.length === 0) return null
  return (
    <section aria-label={title} className="min-w-0">
      <h3 className="mb-1 text-xs font-semibold text-mute">{title}</h3>
      <dl className="grid grid-cols-[1fr_auto] gap-x-3 gap-y-0.5">
        {metrics.map(metric => (
          <div
            key={metric.name}
            className="col-span-2 grid grid-cols-subgrid"
            data-testid={`measured-${metric.name}`}
          >
            <dt className="flex min-w-0 items-center gap-1 text-soft">
              <span className="truncate">{metric.label}</span>
              <Definition of={metric.label} text={definitionOf(metric)} />
            </dt>
            <dd className="text-right">
              <Figure
                value={member.metrics[metric.name]}
                format={formatMeasured}
                why="not measured in this report"
              />
              {metric.unit !== '' && <span className="text-xs text-mute"> {metric.unit}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

const definitionOf = ({ definition, counted, source }: Metric): string =>
  [definition, counted ?? '', source === '' ? '' : `As defined by ${source}.`]
    .filter(part => part !== '')
    .join(' ')

function Histograms({ member }: { member: TrainingMember }) {
  const { l0_histogram, density_histogram } = member
  return (
    <div className="grid gap-6 lg:grid-cols-2">
      {l0_histogram !== null && (
        <Titled
          title="L0 per token"
          about="Tokens by the number of latents that fire on them; each bar is a power of two."
          unit="tokens"
          bins={l0_histogram.map((count, i) => ({ name: powerOfTwo(i), count }))}
        />
      )}
      {density_histogram !== null && (
        <Titled
          title="Latent density"
          about="Latents by the share of tokens they fire on; each bar is a power of ten, the first one latents that never fired."
          unit="latents"
          bins={density_histogram.map((count, i) => ({ name: decade(i), count }))}
        />
      )}
    </div>
  )
}

/** 0, 1, 2–3, 4–7 … */
const powerOfTwo = (i: number) => (i < 2 ? String(i) : `${2 ** (i - 1)}–${2 ** i - 1}`)
/** never, 1e-9, 1e-8 … */
const decade = (i: number) => (i === 0 ? 'never' : `1e${i - 10}`)

function Titled(props: { title: string; about: string; unit: string; bins: Bin[] }) {
  const { title, about, unit, bins } = props
  return (
    <figure className="min-w-0" aria-label={title}>
      <figcaption className="mb-2 flex items-center gap-1 text-xs font-semibold text-mute">
        {title}
        <Definition of={title} text={about} />
      </figcaption>
      <Histogram label={title} unit={unit} bins={bins} format={formatShort} empty="No counts yet." />
    </figure>
  )
}

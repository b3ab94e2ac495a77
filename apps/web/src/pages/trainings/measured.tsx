// Everything that is measured of one SAE, by the table of metrics: the terms of its loss apart, how well it
// reconstructs, how the run goes, and its two histograms. Nothing about a metric is written here but where it stands.
import type { Metric, Training, TrainingMember } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { queries } from '../../api.ts'
import { Bars } from '../../charts/plain_bars.tsx'
import { SelectField } from '../../forms/fields.tsx'
import { formatCount, formatFigure } from '../../parts/format.ts'
import { Definition, Figure } from '../../parts/hint.tsx'
import { Section } from '../../parts/page.tsx'

const titles: Record<Metric['group'], string> = {
  loss: 'Terms of the loss',
  quality: 'Reconstruction and sparsity',
  model: 'Effect on the model',
  run: 'Run',
}

export function Measured({ training }: { training: Training }) {
  const metrics = useQuery(queries.metrics())
  const [chosen, setChosen] = useState<string>()
  const { saes } = training
  const member = saes.find(({ name }) => name === chosen) ?? saes[0]
  if (metrics.data === undefined || member === undefined) return null
  const told = metrics.data.data.filter(
    ({ name, where }) => where.includes('training') && name in member.metrics,
  )
  if (told.length === 0) return null
  return (
    <Section
      title="Measured"
      aside={
        member.metrics.step_tokens !== null && member.metrics.step_tokens !== undefined
          ? `over ${formatCount(member.metrics.step_tokens)} tokens since the report before`
          : undefined
      }
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
              metrics={told.filter(one => one.group === group)}
              member={member}
            />
          ))}
        </div>
        <div className="grid gap-6 lg:grid-cols-2">
          {member.l0_histogram !== null && (
            <Bars
              title="L0 of tokens"
              about="Tokens by how many latents fire at them; each bar is a power of two."
              unit="tokens"
              bars={member.l0_histogram.map((count, i) => ({ name: powerName(i), count }))}
            />
          )}
          {member.density_histogram !== null && (
            <Bars
              title="Density of latents"
              about="Latents by the share of tokens at which they fire, in decades; those that did not fire are in the first."
              unit="latents"
              bars={member.density_histogram.map((count, i) => ({
                name: i === 0 ? 'never' : `1e${i - 10}`,
                count,
              }))}
            />
          )}
        </div>
      </div>
    </Section>
  )
}

/** Counts are whole, measured values have as many digits whatever they are. */
const figure = (value: number) => (Number.isInteger(value) ? formatCount(value) : formatFigure(value))

/** 0, 1, 2–3, 4–7 … */
const powerName = (i: number) => (i < 2 ? String(i) : `${2 ** (i - 1)}–${2 ** i - 1}`)

function Group(props: { title: string; metrics: Metric[]; member: TrainingMember }) {
  const { title, metrics, member } = props
  if (metrics.length === 0) return null
  return (
    <section aria-label={title} className="min-w-0">
      <h3 className="mb-1 text-xs font-semibold text-mute">{title}</h3>
      <dl className="grid grid-cols-[1fr_auto] gap-x-3 gap-y-0.5">
        {metrics.map(({ name, label, definition, unit, counted, source }) => (
          <div key={name} className="col-span-2 grid grid-cols-subgrid" data-testid={`measured-${name}`}>
            <dt className="flex min-w-0 items-center gap-1 text-soft">
              <span className="truncate">{label}</span>
              <Definition
                of={label}
                text={[definition, counted ?? '', source === '' ? '' : `After ${source}.`]
                  .filter(part => part !== '')
                  .join(' ')}
              />
            </dt>
            <dd className="text-right">
              <Figure value={member.metrics[name]} format={figure} why="not measured at this report" />
              {unit !== '' && <span className="text-xs text-mute"> {unit}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

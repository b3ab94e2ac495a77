// The order of the table of features, and its bounds.
import { type FeatureQuery, featureSorts } from '@mistudio/contract'
import { SlidersHorizontal } from 'lucide-react'
import { Popover } from 'radix-ui'
import { NumberField } from '../../forms/fields.tsx'
import { numberOf } from '../../forms/schema.ts'
import { Button } from '../../parts/button.tsx'
import type { FeatureChoice } from './search.ts'

type Props = { chosen: FeatureChoice; onChoose: (change: FeatureChoice) => void }

export const Filters = (props: Props) => (
  <>
    <OrderSelect {...props} />
    <Bounds {...props} />
  </>
)

const sortNames: Record<FeatureQuery['sort_by'], string> = {
  readability: 'Readability',
  density: 'Density',
  max: 'Largest activation',
  mean: 'Mean activation',
  feature: 'Number',
}

function OrderSelect({ chosen, onChoose }: Props) {
  return (
    <select
      aria-label="Sort by"
      className="field-box w-auto"
      value={`${chosen.sort_by} ${chosen.sort_order}`}
      onChange={event => {
        const [by, order] = event.target.value.split(' ')
        onChoose({ sort_by: by as FeatureQuery['sort_by'], sort_order: order as 'asc' | 'desc' })
      }}
    >
      {featureSorts.flatMap(sort =>
        (['desc', 'asc'] as const).map(order => (
          <option key={`${sort} ${order}`} value={`${sort} ${order}`}>
            {sortNames[sort]} {order === 'desc' ? '↓' : '↑'}
          </option>
        )),
      )}
    </select>
  )
}

const bounds = [
  { field: 'min_density', label: 'Density from', hint: '0.0001' },
  { field: 'max_density', label: 'Density to', hint: '0.01' },
  { field: 'min_max', label: 'Max from', hint: '1' },
  { field: 'max_max', label: 'Max to', hint: '100' },
] as const

function Bounds({ chosen, onChoose }: Props) {
  const set = bounds.filter(({ field }) => chosen[field] !== undefined).length
  return (
    <Popover.Root>
      <Popover.Trigger asChild>
        <Button>
          <SlidersHorizontal aria-hidden />
          Filter{set > 0 && ` (${set})`}
        </Button>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          sideOffset={6}
          collisionPadding={12}
          aria-label="Filter"
          className="z-40 grid w-80 max-w-[calc(100vw-1.5rem)] grid-cols-2 gap-3 rounded-lg border border-line bg-surface p-3 shadow-xl"
        >
          {bounds.map(({ field, label, hint }) => (
            <Bound
              key={field}
              label={label}
              hint={hint}
              value={chosen[field]}
              onSet={value => onChoose({ [field]: value })}
            />
          ))}
          <Button
            className="col-span-2"
            disabled={set === 0}
            onClick={() => onChoose(Object.fromEntries(bounds.map(({ field }) => [field, undefined])))}
          >
            Clear
          </Button>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}

/** Takes effect on Enter and when the field loses focus. */
function Bound(props: {
  label: string
  hint: string
  value: number | undefined
  onSet: (value: number | undefined) => void
}) {
  const { label, hint, value, onSet } = props
  const take = (text: string) => {
    const next = numberOf(text)
    if (typeof next !== 'string' && next !== value) onSet(next)
  }
  return (
    <NumberField
      key={value}
      label={label}
      placeholder={hint}
      defaultValue={value ?? ''}
      onBlur={event => take(event.target.value)}
      onKeyDown={event => event.key === 'Enter' && take(event.currentTarget.value)}
    />
  )
}

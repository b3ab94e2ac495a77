// The head of the table of features: names, definitions, and the columns that can be sorted by.
import type { FeatureQuery } from '@mistudio/contract'
import { ArrowDown, ArrowUp } from 'lucide-react'
import { definitions } from '../../parts/definitions.tsx'
import { Definition } from '../../parts/hint.tsx'
import { rowGrid } from './feature_row.tsx'

export type Order = Pick<FeatureQuery, 'sort_by' | 'sort_order'>

type Head = { name: string; sort?: Order['sort_by']; about?: string; right?: boolean }

export const heads: Head[] = [
  { name: 'Number', sort: 'feature', right: true },
  { name: 'Peak tokens' },
  { name: 'Strongest example' },
  { name: 'Density', sort: 'density', about: definitions.density, right: true },
  { name: 'Max', sort: 'max', about: definitions.max, right: true },
  { name: 'Readability', sort: 'readability', about: definitions.readability, right: true },
  { name: 'NLP summary', about: definitions.nlp },
]

type Props = { order: Order; onSort: (order: Order) => void }

export function FeatureHead({ order, onSort }: Props) {
  return (
    // biome-ignore-start lint/a11y/useSemanticElements: part of a grid, see feature_table.tsx
    // biome-ignore-start lint/a11y/useFocusableInteractive: the grid has the focus
    <div
      role="row"
      aria-rowindex={1}
      className={`${rowGrid} z-20 rounded-t-lg border-b border-line bg-surface py-2 text-xs font-medium text-mute max-lg:sr-only lg:sticky lg:top-0`}
    >
      {heads.map(({ name, sort, about, right }) => (
        <div
          key={name}
          role="columnheader"
          aria-sort={sort === undefined ? undefined : ariaSort(sort, order)}
          className={`flex min-w-0 items-center gap-1 ${right ? 'justify-end' : ''}`}
        >
          {sort === undefined ? name : <SortButton name={name} sort={sort} order={order} onSort={onSort} />}
          {about !== undefined && <Definition of={name} text={about} />}
        </div>
      ))}
    </div>
    // biome-ignore-end lint/a11y/useFocusableInteractive: the grid has the focus
    // biome-ignore-end lint/a11y/useSemanticElements: part of a grid, see feature_table.tsx
  )
}

const ariaSort = (sort: Order['sort_by'], { sort_by, sort_order }: Order) =>
  sort !== sort_by ? 'none' : sort_order === 'asc' ? 'ascending' : 'descending'

/** Sorts by its column, the other way round where it already does. */
function SortButton({ name, sort, order, onSort }: Props & { name: string; sort: Order['sort_by'] }) {
  const current = sort === order.sort_by
  const Arrow = order.sort_order === 'asc' ? ArrowUp : ArrowDown
  return (
    <button
      type="button"
      tabIndex={-1}
      className="flex items-center gap-1 rounded-sm hover:text-ink"
      onClick={() =>
        onSort({ sort_by: sort, sort_order: current && order.sort_order === 'desc' ? 'asc' : 'desc' })
      }
    >
      {name}
      {current && <Arrow aria-hidden className="size-3" />}
    </button>
  )
}

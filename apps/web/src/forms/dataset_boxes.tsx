// A choice of datasets.
import type { Dataset } from '@mistudio/contract'
import type { ReactNode } from 'react'
import { TextLink } from '../parts/button.tsx'
import { formatNumberOf } from '../parts/format.ts'
import { type Loadable, Loaded } from '../parts/loaded.tsx'
import { CheckField, Group, toggledIn } from './fields.tsx'

/** @param props.columns how many where there is room */
export function DatasetBoxes(props: {
  datasets: Loadable<{ data: Dataset[] }>
  /** Ids, in the order in which they were chosen. */
  chosen: readonly string[]
  onChoose: (ids: string[]) => void
  error?: string
  about?: ReactNode
  columns: 1 | 2
}) {
  const { datasets, chosen, onChoose, error, about, columns } = props
  return (
    <Group
      legend="Datasets"
      error={error}
      about={about}
      aside={<span className="text-xs leading-7 text-mute">{chosen.length} chosen</span>}
    >
      <Loaded query={datasets} what="datasets">
        {({ data }) =>
          data.length === 0 ? (
            <p className="text-soft">
              No datasets yet. <TextLink to="/datasets">Upload one</TextLink>
            </p>
          ) : (
            <div
              className={`grid max-h-60 gap-x-4 gap-y-2 overflow-y-auto rounded-md border border-line p-2.5 ${columns === 2 ? 'sm:grid-cols-2' : ''}`}
            >
              {data.map(({ id, name, documents, status }) => (
                <CheckField
                  key={id}
                  label={name}
                  about={formatNumberOf(documents, 'document')}
                  disabled={status !== 'ready'}
                  checked={chosen.includes(id)}
                  onChange={on => onChoose(toggledIn(chosen, id, on))}
                />
              ))}
            </div>
          )
        }
      </Loaded>
    </Group>
  )
}

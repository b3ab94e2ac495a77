// What an extraction reads with and what it reads: SAEs in the order in which they will run, and datasets.
import type { Sae } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { queries } from '../../api.ts'
import { CheckField, Group, toggledIn } from '../../forms/fields.tsx'
import { SearchBox } from '../../forms/search_box.tsx'
import { Badge } from '../../parts/badge.tsx'
import { Button, TextLink } from '../../parts/button.tsx'
import { formatCount, formatNumberOf } from '../../parts/format.ts'
import { Pending } from '../../parts/problem.tsx'

type Props = { chosen: string[]; onChoose: (ids: string[]) => void; error?: string }

const listLook = 'max-h-60 space-y-2 overflow-y-auto rounded-md border border-line p-2.5'

export function SaeChoice({ chosen, onChoose, error }: Props) {
  const saes = useQuery(queries.saes())
  const [search, setSearch] = useState('')
  const found = saes.data?.data.filter(sae => matches(sae, search)) ?? []
  const usable = found.filter(({ status }) => status === 'ready').map(({ id }) => id)
  return (
    <Group
      legend="SAEs"
      error={error}
      aside={
        <span className="flex items-center gap-1">
          <span className="text-xs text-mute" data-testid="saes-chosen">
            {chosen.length} chosen
          </span>
          <Button small look="ghost" onClick={() => onChoose([...new Set([...chosen, ...usable])])}>
            All
          </Button>
          <Button small look="ghost" onClick={() => onChoose([])}>
            None
          </Button>
        </span>
      }
    >
      {saes.data === undefined ? (
        <Pending query={saes} what="SAEs" />
      ) : saes.data.data.length === 0 ? (
        <p className="text-soft">
          None yet.{' '}
          <TextLink to="/saes" search={{ dialog: 'import' }}>
            Import those of a training
          </TextLink>
        </p>
      ) : (
        <div className="space-y-2">
          <SearchBox label="Filter SAEs" value={search} onSearch={setSearch} />
          <div className={listLook}>
            {found.map(({ id, name, model_name, hook_point, d_sae, status }) => (
              <div key={id} className="flex items-start justify-between gap-2">
                <CheckField
                  label={name}
                  about={`${model_name}, ${hook_point}, ${formatCount(d_sae)} latents`}
                  disabled={status !== 'ready'}
                  checked={chosen.includes(id)}
                  onChange={on => onChoose(toggledIn(chosen, id, on))}
                />
                {chosen.length > 1 && chosen.includes(id) && (
                  <Badge title="its place in the batch">
                    {chosen.indexOf(id) + 1}/{chosen.length}
                  </Badge>
                )}
              </div>
            ))}
            {found.length === 0 && <p className="text-mute">No SAE matches.</p>}
          </div>
        </div>
      )}
    </Group>
  )
}

const matches = ({ name, hook_point, model_name, training_name }: Sae, search: string) =>
  [name, hook_point, model_name, training_name ?? ''].some(text =>
    text.toLowerCase().includes(search.trim().toLowerCase()),
  )

export function DatasetChoice({ chosen, onChoose, error }: Props) {
  const datasets = useQuery(queries.datasets())
  return (
    <Group
      legend="Datasets"
      error={error}
      aside={<span className="text-xs leading-7 text-mute">{chosen.length} chosen</span>}
    >
      {datasets.data === undefined ? (
        <Pending query={datasets} what="datasets" />
      ) : datasets.data.data.length === 0 ? (
        <p className="text-soft">
          None yet. <TextLink to="/datasets">Upload one</TextLink>
        </p>
      ) : (
        <div className={listLook}>
          {datasets.data.data.map(({ id, name, documents, status }) => (
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
      )}
    </Group>
  )
}

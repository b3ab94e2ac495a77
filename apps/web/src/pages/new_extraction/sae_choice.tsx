// The SAEs of an extraction, in the order in which they will run.
import type { Sae } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { queries } from '../../api.ts'
import { AllOrNone, CheckField, Group, toggledIn } from '../../forms/fields.tsx'
import { SearchBox } from '../../forms/search_box.tsx'
import { Badge } from '../../parts/badge.tsx'
import { TextLink } from '../../parts/button.tsx'
import { formatCount } from '../../parts/format.ts'
import { Loaded } from '../../parts/loaded.tsx'

type Props = { chosen: string[]; onChoose: (ids: string[]) => void }

export function SaeChoice({ chosen, onChoose, error }: Props & { error?: string }) {
  const saes = useQuery(queries.saes())
  const [search, setSearch] = useState('')
  const found = saes.data?.data.filter(sae => matches(sae, search)) ?? []
  const usable = found.filter(({ status }) => status === 'ready').map(({ id }) => id)
  return (
    <Group
      legend="SAEs"
      error={error}
      aside={
        <AllOrNone onAll={() => onChoose([...new Set([...chosen, ...usable])])} onNone={() => onChoose([])}>
          <span className="text-xs text-mute" data-testid="saes-chosen">
            {chosen.length} chosen
          </span>
        </AllOrNone>
      }
    >
      <Loaded query={saes} what="SAEs">
        {({ data }) =>
          data.length === 0 ? (
            <p className="text-soft">
              No SAEs yet.{' '}
              <TextLink to="/saes" search={{ dialog: 'import' }}>
                Import some from a training
              </TextLink>
            </p>
          ) : (
            <div className="space-y-2">
              <SearchBox label="Filter SAEs" value={search} onSearch={setSearch} />
              <Boxes saes={found} chosen={chosen} onChoose={onChoose} />
            </div>
          )
        }
      </Loaded>
    </Group>
  )
}

function Boxes({ saes, chosen, onChoose }: Props & { saes: Sae[] }) {
  return (
    <div className="max-h-60 space-y-2 overflow-y-auto rounded-md border border-line p-2.5">
      {saes.map(({ id, name, model_name, hook_point, d_sae, status }) => (
        <div key={id} className="flex items-start justify-between gap-2">
          <CheckField
            label={name}
            about={`${model_name}, ${hook_point}, ${formatCount(d_sae)} latents`}
            disabled={status !== 'ready'}
            checked={chosen.includes(id)}
            onChange={on => onChoose(toggledIn(chosen, id, on))}
          />
          {chosen.length > 1 && chosen.includes(id) && (
            <Badge title="position in the batch">
              {chosen.indexOf(id) + 1}/{chosen.length}
            </Badge>
          )}
        </div>
      ))}
      {saes.length === 0 && <p className="text-mute">No SAEs match.</p>}
    </div>
  )
}

const matches = ({ name, hook_point, model_name, training_name }: Sae, search: string) =>
  [name, hook_point, model_name, training_name ?? ''].some(text =>
    text.toLowerCase().includes(search.trim().toLowerCase()),
  )

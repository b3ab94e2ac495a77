// Import of a training's SAEs: all of them unless some are unchecked. Those already imported are shown, but cannot be
// chosen again.
import type { AvailableSae } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { client, queries } from '../../api.ts'
import { toggledIn } from '../../forms/fields.tsx'
import { Badge, HookBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { formatCount, formatNumberOf } from '../../parts/format.ts'
import { Loaded } from '../../parts/loaded.tsx'
import { useAction } from '../../parts/mutation.ts'
import { ProblemBox } from '../../parts/problem.tsx'
import { Done, Imported, type ImportResult } from './import_result.tsx'

type Props = { trainingId: string; onClose: () => void }

export function FromTraining({ trainingId, onClose }: Props) {
  const available = useQuery(queries.trainingSaes(trainingId))
  return (
    <Loaded query={available} what="SAEs">
      {({ data }) => <Choices saes={data} trainingId={trainingId} onClose={onClose} />}
    </Loaded>
  )
}

function Choices({ saes, trainingId, onClose }: Props & { saes: AvailableSae[] }) {
  const [unchecked, setUnchecked] = useState<string[]>([])
  const importing = useAction({
    act: (chosen: AvailableSae[]) => importAll(trainingId, chosen),
    touches: ['saes', 'trainings'],
  })
  const free = saes.filter(({ imported_sae_id }) => imported_sae_id === null)
  const chosen = free.filter(sae => !unchecked.includes(keyOf(sae)))
  return (
    <div className="space-y-4">
      <ul className="divide-y divide-line rounded-md border border-line" aria-label="SAEs of the training">
        {saes.map(sae => (
          <Choice
            key={keyOf(sae)}
            sae={sae}
            chosen={chosen.includes(sae)}
            onChoose={on => setUnchecked(toggledIn(unchecked, keyOf(sae), !on))}
          />
        ))}
      </ul>
      <ProblemBox error={importing.error} />
      {importing.data !== undefined && <Imported result={importing.data} />}
      <div className="flex flex-wrap items-center justify-end gap-2">
        {importing.data === undefined ? (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button
              look="primary"
              disabled={chosen.length === 0 || importing.isPending}
              onClick={() => importing.mutate(chosen)}
            >
              {free.length === 0 ? 'All are imported' : `Import ${formatNumberOf(chosen.length, 'SAE')}`}
            </Button>
          </>
        ) : (
          <Done result={importing.data} onClose={onClose} />
        )}
      </div>
    </div>
  )
}

const keyOf = ({ member, checkpoint }: AvailableSae) => `${member}@${checkpoint}`

/** One request for each checkpoint (null: the end of the training), since a request imports SAEs of one only. */
async function importAll(trainingId: string, saes: AvailableSae[]): Promise<ImportResult> {
  const result: ImportResult = { imported: [], skipped: [] }
  for (const checkpoint of new Set(saes.map(sae => sae.checkpoint))) {
    const members = saes.filter(sae => sae.checkpoint === checkpoint).map(({ member }) => member)
    const body = { training_id: trainingId, members, ...(checkpoint !== null && { checkpoint }) }
    const { imported, skipped } = await client.importSaes({ body })
    result.imported.push(...imported)
    result.skipped.push(...skipped)
  }
  return result
}

function Choice(props: { sae: AvailableSae; chosen: boolean; onChoose: (on: boolean) => void }) {
  const { sae, chosen, onChoose } = props
  const done = sae.imported_sae_id !== null
  return (
    <li>
      <label className={`flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2 ${done ? 'text-mute' : ''}`}>
        <input
          type="checkbox"
          checked={done || chosen}
          disabled={done}
          onChange={event => onChoose(event.target.checked)}
        />
        <span className="min-w-0 font-mono text-xs break-all">{sae.member}</span>
        {sae.checkpoint !== null && <Badge>step {formatCount(sae.checkpoint)}</Badge>}
        {sae.hook_type !== null && <HookBadge type={sae.hook_type} />}
        <span className="text-xs text-mute">
          {sae.architecture}, {formatCount(sae.d_in)} → {formatCount(sae.d_sae)}
          {sae.k !== null && `, k ${sae.k}`}
        </span>
        {done && (
          <span className="ml-auto">
            <Badge>already imported</Badge>
          </span>
        )}
      </label>
    </li>
  )
}

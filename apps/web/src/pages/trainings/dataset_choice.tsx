// What the training reads: datasets one after the other, or mixed by weight.
import type { Dataset } from '@mistudio/contract'
import { CheckField, Group, NumberField, toggledIn } from '../../forms/fields.tsx'
import { numberOf } from '../../forms/schema.ts'
import { TextLink } from '../../parts/button.tsx'
import { formatNumberOf } from '../../parts/format.ts'
import { Pending } from '../../parts/problem.tsx'

export type Texts = {
  ids: string[]
  /** By dataset, as typed; null: one after the other. */
  weights: Record<string, string> | null
}

/** One for each dataset chosen; what is no number stays text, for the contract to name. */
export const weightsOf = ({ ids, weights }: Texts) =>
  weights === null ? null : ids.map(id => numberOf(weights[id] ?? '1') ?? 1)

export function DatasetChoice(props: {
  datasets: { data?: { data: Dataset[] }; error: unknown; refetch: () => unknown }
  texts: Texts
  errorOf: (field: string) => string | undefined
  onChange: (texts: Texts) => void
}) {
  const { datasets, texts, errorOf, onChange } = props
  const { ids, weights } = texts
  const chosen = datasets.data?.data.filter(({ id }) => ids.includes(id)) ?? []
  return (
    <div className="space-y-3">
      <Group
        legend="Datasets"
        error={errorOf('dataset_ids')}
        about={weights === null ? 'Several are read as one, every text once.' : undefined}
        aside={<span className="text-xs text-mute">{ids.length} chosen</span>}
      >
        {datasets.data === undefined ? (
          <Pending query={datasets} what="datasets" />
        ) : datasets.data.data.length === 0 ? (
          <p className="text-mute">
            None yet. <TextLink to="/datasets">Upload one</TextLink>
          </p>
        ) : (
          <div className="grid max-h-56 gap-x-4 gap-y-2 overflow-y-auto rounded-md border border-line p-2.5 sm:grid-cols-2">
            {datasets.data.data.map(({ id, name, documents, status }) => (
              <CheckField
                key={id}
                label={name}
                about={formatNumberOf(documents, 'document')}
                disabled={status !== 'ready'}
                checked={ids.includes(id)}
                onChange={on => onChange({ ...texts, ids: toggledIn(ids, id, on) })}
              />
            ))}
          </div>
        )}
      </Group>
      {chosen.length > 1 && (
        <CheckField
          label="Mix by weight"
          about="A share of the tokens from each, in place of every text once."
          checked={weights !== null}
          onChange={on => onChange({ ...texts, weights: on ? {} : null })}
        />
      )}
      {weights !== null && chosen.length > 1 && (
        <div className="grid gap-3 sm:grid-cols-3">
          {ids.map(id => (
            <NumberField
              key={id}
              label={`Weight of ${chosen.find(one => one.id === id)?.name ?? ''}`}
              value={weights[id] ?? '1'}
              onChange={event => onChange({ ...texts, weights: { ...weights, [id]: event.target.value } })}
            />
          ))}
        </div>
      )}
      {errorOf('dataset_weights') !== undefined && (
        <p className="text-xs text-bad">Weights: {errorOf('dataset_weights')}</p>
      )}
    </div>
  )
}

// The datasets of a training, read one after another or mixed by weight.
import type { Dataset } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { queries } from '../../api.ts'
import { DatasetBoxes } from '../../forms/dataset_boxes.tsx'
import { CheckField, NumberField } from '../../forms/fields.tsx'
import type { DatasetsDraft } from './draft.ts'
import type { TrainingForm } from './use_training_form.ts'

export function DatasetChoice({ form }: { form: TrainingForm }) {
  const { draft, change, errorOf } = form
  const datasets = useQuery(queries.datasets())
  const { ids, weights } = draft.datasets
  const chosen = datasets.data?.data.filter(({ id }) => ids.includes(id)) ?? []
  const set = (part: Partial<DatasetsDraft>) =>
    change({ kind: 'datasets', datasets: { ...draft.datasets, ...part } })
  const weightError = errorOf('dataset_weights')
  return (
    <div className="space-y-3">
      <DatasetBoxes
        datasets={datasets}
        chosen={ids}
        onChoose={next => set({ ids: next })}
        error={errorOf('dataset_ids')}
        about={weights === null ? 'Several datasets are read as one, every document once.' : undefined}
        columns={2}
      />
      {chosen.length > 1 && (
        <CheckField
          label="Mix by weight"
          about="Take a share of the tokens from each dataset rather than every document once."
          checked={weights !== null}
          onChange={on => set({ weights: on ? {} : null })}
        />
      )}
      {weights !== null && chosen.length > 1 && (
        <Weights {...{ ids, chosen, weights }} onChange={next => set({ weights: next })} />
      )}
      {weightError !== undefined && <p className="text-xs text-bad">Weights: {weightError}</p>}
    </div>
  )
}

function Weights(props: {
  ids: string[]
  chosen: Dataset[]
  weights: Record<string, string>
  onChange: (weights: Record<string, string>) => void
}) {
  const { ids, chosen, weights, onChange } = props
  return (
    <div className="grid gap-3 sm:grid-cols-3">
      {ids.map(id => (
        <NumberField
          key={id}
          label={`Weight of ${chosen.find(one => one.id === id)?.name ?? ''}`}
          value={weights[id] ?? '1'}
          onChange={event => onChange({ ...weights, [id]: event.target.value })}
        />
      ))}
    </div>
  )
}

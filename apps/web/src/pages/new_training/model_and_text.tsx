// What a training reads: a model, and text for it.
import type { Model } from '@mistudio/contract'
import { SelectField, TextField } from '../../forms/fields.tsx'
import { formatCount } from '../../parts/format.ts'
import { DatasetChoice } from './dataset_choice.tsx'
import type { TrainingForm } from './use_training_form.ts'

export function ModelAndText({ form, models }: { form: TrainingForm; models: Model[] }) {
  const { draft, change, model, errorOf } = form
  return (
    <section className="panel grid gap-4 p-4 sm:grid-cols-2" aria-label="Model and text">
      <SelectField
        label="Model"
        value={draft.modelId}
        error={errorOf('model_id')}
        about={model && `${formatCount(model.layers)} layers, width ${formatCount(model.d_model)}`}
        onChange={event =>
          change({ kind: 'model', model: models.find(({ id }) => id === event.target.value)! })
        }
      >
        {models.map(({ id, name, status }) => (
          <option key={id} value={id} disabled={status !== 'ready'}>
            {name}
          </option>
        ))}
      </SelectField>
      <TextField
        label="Name"
        about="Optional. If empty, the studio chooses one."
        value={draft.name}
        error={errorOf('name')}
        onChange={event => change({ kind: 'name', name: event.target.value })}
      />
      <div className="sm:col-span-2">
        <DatasetChoice form={form} />
      </div>
    </section>
  )
}

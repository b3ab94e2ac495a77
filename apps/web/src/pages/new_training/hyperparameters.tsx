// The settings of a training: the few at the top that every training has, those of the family and the groups, and
// variants.
import { type Families, hyperparametersGiven } from '@mistudio/contract'
import { NumberField } from '../../forms/fields.tsx'
import { descriptionOf } from '../../forms/schema.ts'
import { Definition } from '../../parts/hint.tsx'
import { SettingGroups } from './setting_groups.tsx'
import { memberFieldsOf } from './settings.ts'
import { Sweep } from './sweep.tsx'
import type { TrainingForm } from './use_training_form.ts'

type Props = { form: TrainingForm; families: Families }

export function Hyperparameters({ form, families }: Props) {
  const { draft, change, errorOf, sweepErrorOf } = form
  return (
    <section className="panel space-y-4 p-4" aria-label="Hyperparameters">
      <TopInputs form={form} families={families} />
      <hr className="border-line" />
      <SettingGroups
        draft={draft}
        families={families}
        errorOf={errorOf}
        onType={(name, text) => change({ kind: 'setting', name, text })}
      />
      <hr className="border-line" />
      <Sweep
        fields={memberFieldsOf(families, draft.family)}
        rows={draft.sweep}
        errorOf={sweepErrorOf}
        onChange={sweep => change({ kind: 'sweep', sweep })}
      />
    </section>
  )
}

/** In their order; the label of a run setting is the API's. */
const topInputs: { field: string; label?: string }[] = [
  { field: 'd_sae', label: 'Latents (d_sae)' },
  { field: 'train_tokens' },
  { field: 'batch_size' },
  { field: 'context_size', label: 'Context size' },
  { field: 'seed' },
]

function TopInputs({ form, families }: Props) {
  return (
    <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
      {topInputs.map(({ field, label: own }) => {
        const described = families.run_fields.find(({ name }) => name === field)
        const label = own ?? described?.label ?? field
        return (
          <NumberField
            key={field}
            label={label}
            aside={described && <Definition of={label} text={described.help} />}
            about={described === undefined ? descriptionOf(hyperparametersGiven, field) : undefined}
            value={form.topText(field)}
            error={form.errorOf(field)}
            onChange={event => form.change({ kind: 'setting', name: field, text: event.target.value })}
          />
        )
      })}
    </div>
  )
}

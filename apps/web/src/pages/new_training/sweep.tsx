// Variants in one run: settings and the values they take. Every combination is an SAE of its own, and all of them are
// trained on the same activations, so together they trace a frontier.
import type { SettingField } from '@mistudio/contract'
import { Plus, X } from 'lucide-react'
import { SelectField, TextField } from '../../forms/fields.tsx'
import { Button } from '../../parts/button.tsx'
import type { SweepRow } from './draft.ts'
import { isList } from './settings.ts'

type Choice = { name: string; label: string }

/** @param props.fields of the family and of every SAE */
export function Sweep(props: {
  fields: readonly SettingField[]
  rows: readonly SweepRow[]
  errorOf: (name: string) => string | undefined
  onChange: (rows: SweepRow[]) => void
}) {
  const { fields, rows, errorOf, onChange } = props
  const choices: Choice[] = [{ name: 'd_sae', label: 'Latents' }, ...fields]
  const free = choices.filter(({ name }) => !rows.some(row => row.name === name))
  // A family's first field is usually the one that makes it sparse.
  const next = free.find(({ name }) => name !== 'd_sae') ?? free[0]
  return (
    <fieldset className="min-w-0 space-y-3">
      <legend className="mb-1 font-medium">Variants</legend>
      {rows.length === 0 && (
        <p className="text-xs text-mute">
          Compare several values of a setting, such as k or λ: each makes an SAE of its own, trained on the
          same activations.
        </p>
      )}
      {rows.map((row, at) => (
        <Row
          key={row.name}
          row={row}
          field={fields.find(({ name }) => name === row.name)}
          choices={choices.filter(choice => choice.name === row.name || free.includes(choice))}
          error={errorOf(row.name)}
          onChange={changed => onChange(rows.with(at, changed))}
          onRemove={() => onChange(rows.toSpliced(at, 1))}
        />
      ))}
      <Button
        small
        disabled={next === undefined}
        onClick={() => onChange([...rows, { name: next.name, values: '' }])}
      >
        <Plus aria-hidden />
        Sweep a setting
      </Button>
    </fieldset>
  )
}

/** @param props.field undefined for d_sae */
function Row(props: {
  row: SweepRow
  field: SettingField | undefined
  choices: Choice[]
  error: string | undefined
  onChange: (row: SweepRow) => void
  onRemove: () => void
}) {
  const { row, field, choices, error, onChange, onRemove } = props
  return (
    <div className="flex flex-wrap items-start gap-2">
      <SelectField
        label="Setting"
        className="w-44"
        value={row.name}
        onChange={event => onChange({ ...row, name: event.target.value })}
      >
        {choices.map(({ name, label }) => (
          <option key={name} value={name}>
            {label} ({name})
          </option>
        ))}
      </SelectField>
      <TextField
        label={`Values of ${row.name}`}
        className="min-w-40 flex-1"
        placeholder={field?.kind === 'choice' ? field.choices.join(', ') : '16, 32, 64'}
        about={field !== undefined && isList(field) ? 'Separate lists with semicolons.' : undefined}
        error={error}
        value={row.values}
        onChange={event => onChange({ ...row, values: event.target.value })}
      />
      <Button
        look="ghost"
        className="mt-6"
        aria-label={`Remove ${row.name} from the sweep`}
        onClick={onRemove}
      >
        <X aria-hidden />
      </Button>
    </div>
  )
}

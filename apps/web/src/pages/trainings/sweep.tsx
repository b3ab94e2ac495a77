// Variants in one run: settings and the values they take. Every combination is an SAE of its own, all of them trained on
// the same activations, which makes a frontier.
import type { SettingField } from '@mistudio/contract'
import { Plus, X } from 'lucide-react'
import { SelectField, TextField } from '../../forms/fields.tsx'
import { Button } from '../../parts/button.tsx'
import { isList, type SweepRow } from './asked.ts'

export function Sweep(props: {
  fields: readonly SettingField[]
  rows: readonly SweepRow[]
  errorOf: (name: string) => string | undefined
  onChange: (rows: SweepRow[]) => void
}) {
  const { fields, rows, errorOf, onChange } = props
  const choices = [{ name: 'd_sae', label: 'Latents' }, ...fields]
  const free = choices.filter(({ name }) => !rows.some(row => row.name === name))
  const change = (at: number, part: Partial<SweepRow>) =>
    onChange(rows.map((row, i) => (i === at ? { ...row, ...part } : row)))
  return (
    <fieldset className="min-w-0 space-y-3">
      <legend className="mb-1 font-medium">Variants</legend>
      {rows.length === 0 && (
        <p className="text-xs text-mute">
          Values of a setting to compare, such as k or λ: each is an SAE of its own, on the same activations.
        </p>
      )}
      {rows.map((row, at) => {
        const field = fields.find(({ name }) => name === row.name)
        return (
          <div key={row.name} className="flex flex-wrap items-start gap-2">
            <SelectField
              label="Setting"
              className="w-44"
              value={row.name}
              onChange={event => change(at, { name: event.target.value })}
            >
              {choices
                .filter(({ name }) => name === row.name || free.some(one => one.name === name))
                .map(({ name, label }) => (
                  <option key={name} value={name}>
                    {label} ({name})
                  </option>
                ))}
            </SelectField>
            <TextField
              label={`Values of ${row.name}`}
              className="min-w-40 flex-1"
              placeholder={field?.kind === 'choice' ? field.choices.join(', ') : '16, 32, 64'}
              about={field !== undefined && isList(field) ? 'Lists, separated by semicolons.' : undefined}
              error={errorOf(row.name)}
              value={row.values}
              onChange={event => change(at, { values: event.target.value })}
            />
            <Button
              look="ghost"
              className="mt-6"
              aria-label={`Do not sweep ${row.name}`}
              onClick={() => onChange(rows.filter((_, i) => i !== at))}
            >
              <X aria-hidden />
            </Button>
          </div>
        )
      })}
      <Button
        small
        disabled={free.length === 0}
        onClick={() => {
          // A family's first field is what makes it sparse.
          const next = free.find(({ name }) => name !== 'd_sae') ?? free[0]
          onChange([...rows, { name: next.name, values: '' }])
        }}
      >
        <Plus aria-hidden />
        Sweep a setting
      </Button>
    </fieldset>
  )
}

// One setting, drawn from its description: its input by kind, its explanation behind a sign, and a mark when it differs
// from the recipe or default.
import type { SettingField } from '@mistudio/contract'
import { RotateCcw } from 'lucide-react'
import { NumberField, SelectField, TextField } from '../../forms/fields.tsx'
import { Definition } from '../../parts/hint.tsx'
import { type Asked, baseOf, boundsOf, isChanged, isList, textOf } from './asked.ts'

export function SettingInput(props: {
  field: SettingField
  asked: Asked
  error?: string
  /** undefined: back to the recipe or default. */
  onType: (text: string | undefined) => void
}) {
  const { field, asked, error, onType } = props
  const base = baseOf(asked, field)
  const text = asked.typed[field.name] ?? textOf(base)
  const changed = isChanged(asked, field)
  const common = {
    label: field.label,
    error,
    aside: (
      <>
        <Definition of={field.label} text={<Explanation field={field} asked={asked} />} />
        {field.unit !== null && field.unit.length < 8 && (
          <span className="text-xs text-mute">{field.unit}</span>
        )}
        {changed && (
          <button
            type="button"
            data-testid={`changed-${field.name}`}
            title={`Changed; back to ${textOf(base) || (field.chosen ?? 'none')}`}
            aria-label={`${field.label} is changed; back to ${textOf(base) || (field.chosen ?? 'none')}`}
            onClick={() => onType(undefined)}
            className="ml-auto inline-flex items-center gap-1 rounded-sm bg-accent-soft px-1 text-xs text-accent [&_svg]:size-3"
          >
            <RotateCcw aria-hidden /> changed
          </button>
        )}
      </>
    ),
  }
  switch (field.kind) {
    case 'choice':
      return (
        <SelectField {...common} value={text} onChange={event => onType(event.target.value)}>
          {field.choices.map(choice => (
            <option key={choice}>{choice}</option>
          ))}
        </SelectField>
      )
    case 'flag':
      return (
        <SelectField {...common} value={text} onChange={event => onType(event.target.value)}>
          <option value="true">yes</option>
          <option value="false">no</option>
        </SelectField>
      )
    default: {
      const Input = isList(field) ? TextField : NumberField
      return (
        <Input
          {...common}
          placeholder={field.chosen ?? undefined}
          value={text}
          onChange={event => onType(event.target.value)}
        />
      )
    }
  }
}

/** Purpose, bounds, default and where it comes from. */
function Explanation({ field, asked }: { field: SettingField; asked: Asked }) {
  const { family, recipe } = asked
  const from =
    recipe !== null && (Object.hasOwn(recipe.sets, field.name) || Object.hasOwn(recipe.run, field.name))
      ? `the recipe ${recipe.name}`
      : Object.hasOwn(family.defaults, field.name)
        ? family.title
        : null
  const base = textOf(baseOf(asked, field))
  return (
    <span className="block space-y-1">
      <span className="block">{field.help}</span>
      <span className="block text-soft">
        <code>{field.name}</code>: {boundsOf(field)}
        {field.unit !== null && `, in ${field.unit}`}
      </span>
      <span className="block text-soft">
        Here: {base === '' ? `chosen: ${field.chosen ?? 'none'}` : base}
        {from !== null && ` (${from})`}
      </span>
      {field.source !== null && <span className="block text-mute">Source: {field.source}</span>}
    </span>
  )
}

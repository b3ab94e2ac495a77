// One setting, drawn from its description: an input that suits its kind, an explanation behind an icon, and a mark when
// it differs from the recipe or default.
import type { SettingField } from '@mistudio/contract'
import { RotateCcw } from 'lucide-react'
import { NumberField, SelectField, TextField } from '../../forms/fields.tsx'
import { settingText } from '../../parts/format.ts'
import { Definition } from '../../parts/hint.tsx'
import { baseOf, boundsOf, isChanged, isList, type SettingsDraft } from './settings.ts'

type Props = { field: SettingField; draft: SettingsDraft }

/** @param props.onType text undefined: back to the recipe or default */
export function SettingInput(props: Props & { error?: string; onType: (text: string | undefined) => void }) {
  const { field, draft, error, onType } = props
  const base = settingText(baseOf(draft, field))
  const common = {
    label: field.label,
    error,
    value: draft.typed[field.name] ?? base,
    onChange: (event: { target: { value: string } }) => onType(event.target.value),
    aside: (
      <>
        <Definition of={field.label} text={<Explanation field={field} draft={draft} />} />
        {field.unit !== null && field.unit.length < 8 && (
          <span className="text-xs text-mute">{field.unit}</span>
        )}
        {isChanged(draft, field) && (
          <ChangedMark
            field={field}
            base={base || (field.chosen ?? 'none')}
            onReset={() => onType(undefined)}
          />
        )}
      </>
    ),
  }
  switch (field.kind) {
    case 'choice':
      return (
        <SelectField {...common}>
          {field.choices.map(choice => (
            <option key={choice}>{choice}</option>
          ))}
        </SelectField>
      )
    case 'flag':
      return (
        <SelectField {...common}>
          <option value="true">yes</option>
          <option value="false">no</option>
        </SelectField>
      )
    default: {
      const Input = isList(field) ? TextField : NumberField
      return <Input {...common} placeholder={field.chosen ?? undefined} />
    }
  }
}

function ChangedMark({ field, base, onReset }: { field: SettingField; base: string; onReset: () => void }) {
  return (
    <button
      type="button"
      data-testid={`changed-${field.name}`}
      title={`Changed. Reset to ${base}`}
      aria-label={`${field.label} is changed. Reset to ${base}`}
      onClick={onReset}
      className="ml-auto inline-flex items-center gap-1 rounded-sm bg-accent-soft px-1 text-xs text-accent [&_svg]:size-3"
    >
      <RotateCcw aria-hidden /> changed
    </button>
  )
}

/** What it is for, what it accepts, and where its default comes from. */
function Explanation({ field, draft }: Props) {
  const base = settingText(baseOf(draft, field))
  const origin = originOf({ field, draft })
  return (
    <span className="block space-y-1">
      <span className="block">{field.help}</span>
      <span className="block text-soft">
        <code>{field.name}</code>: {boundsOf(field)}
        {field.unit !== null && `, in ${field.unit}`}
      </span>
      <span className="block text-soft">
        Default: {base === '' ? (field.chosen ?? 'none') : base}
        {origin !== null && ` (${origin})`}
      </span>
      {field.source !== null && <span className="block text-mute">Source: {field.source}</span>}
    </span>
  )
}

function originOf({ field, draft: { recipe, family } }: Props): string | null {
  const sets = (values: object | undefined) => values !== undefined && Object.hasOwn(values, field.name)
  if (recipe !== null && (sets(recipe.sets) || sets(recipe.run))) return `recipe ${recipe.name}`
  return sets(family.defaults) ? family.title : null
}

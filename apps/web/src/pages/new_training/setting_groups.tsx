// The settings of a training in their groups: the family's own and the common ones in the open, the others folded away
// behind a heading that says how many of them were changed.
import type { Families, SettingField } from '@mistudio/contract'
import { useId } from 'react'
import { formatNumberOf } from '../../parts/format.ts'
import { SettingInput } from './setting_input.tsx'
import { isChanged, otherRunFields, type SettingsDraft } from './settings.ts'

type Props = {
  draft: SettingsDraft
  families: Families
  errorOf: (name: string) => string | undefined
  onType: (name: string, text: string | undefined) => void
}

export function SettingGroups(props: Props) {
  const { draft, families } = props
  const of = (group: string) => families.member_fields.filter(field => field.group === group)
  const [common, ...rest] = families.groups
  return (
    <div className="space-y-3">
      <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
        <Inputs {...props} fields={[...draft.family.fields, ...of(common)]} />
      </div>
      {rest.map(group => (
        <Folded key={group} {...props} title={capital(group)} fields={of(group)} />
      ))}
      <Folded {...props} title="Checkpoints and run" fields={otherRunFields(families)} />
    </div>
  )
}

const capital = (text: string) => text[0].toUpperCase() + text.slice(1)

function Folded(props: Props & { title: string; fields: readonly SettingField[] }) {
  const { title, fields, draft, errorOf } = props
  const id = useId()
  const changed = fields.filter(field => isChanged(draft, field)).length
  const wrong = fields.some(({ name }) => errorOf(name) !== undefined)
  return (
    <details className="rounded-md border border-line" open={wrong || undefined}>
      <summary id={id} className="flex items-center gap-2 px-3 py-2 font-medium select-none">
        {title}
        <span className="text-xs font-normal text-mute">
          {formatNumberOf(fields.length, 'setting')}
          {changed > 0 && `, ${changed} changed`}
        </span>
      </summary>
      {/* biome-ignore lint/a11y/useSemanticElements: the summary is its heading */}
      <div
        role="group"
        aria-labelledby={id}
        className="grid gap-4 border-t border-line p-3 sm:grid-cols-2 xl:grid-cols-3"
      >
        <Inputs {...props} fields={fields} />
      </div>
    </details>
  )
}

const Inputs = ({ fields, draft, errorOf, onType }: Props & { fields: readonly SettingField[] }) =>
  fields.map(field => (
    <SettingInput
      key={field.name}
      field={field}
      draft={draft}
      error={errorOf(field.name)}
      onType={text => onType(field.name, text)}
    />
  ))

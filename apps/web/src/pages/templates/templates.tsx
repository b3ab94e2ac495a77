// Saved extraction settings.
import { extractionTemplateName, type Template } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Play } from 'lucide-react'
import { client, queries } from '../../api.ts'
import { LinkButton } from '../../parts/button.tsx'
import { actionsColumn, RemoveButton } from '../../parts/columns.tsx'
import type { Column } from '../../parts/data_table.tsx'
import { formatTime } from '../../parts/format.ts'
import { Missing } from '../../parts/hint.tsx'
import { ListPage } from '../../parts/list.tsx'
import { refresh } from '../../parts/mutation.ts'
import { shownSettings } from '../new_extraction/sae_settings.ts'

const columns: Column<Template>[] = [
  {
    name: 'Name',
    head: true,
    cell: ({ name, description }) => (
      <>
        {name}
        {description !== '' && <p className="text-xs font-normal text-mute">{description}</p>}
      </>
    ),
  },
  { name: 'Settings', wraps: true, cell: ({ config }) => extractionTemplateName(config) },
  {
    name: 'SAE settings',
    wraps: true,
    cell: ({ extra_metadata }) =>
      Object.keys(extra_metadata).length === 0 ? (
        <Missing why="saved without SAEs" />
      ) : (
        <ul className="text-xs">
          {shownSettings(extra_metadata).map(({ name, value }) => (
            <li key={name}>
              <span className="text-mute">{name}</span> {value}
            </li>
          ))}
        </ul>
      ),
  },
  { name: 'Saved', wideOnly: true, cell: ({ created_at }) => formatTime(created_at) },
  actionsColumn(({ id, kind, name }) => (
    <>
      <LinkButton small to="/extractions/new" search={{ template: id }} aria-label={`Start from ${name}`}>
        <Play aria-hidden />
        <span className="max-md:sr-only">Start</span>
      </LinkButton>
      <RemoveButton
        verb="Delete"
        what="template"
        name={name}
        question={`“${name}” will be deleted. Extractions started from it are not affected.`}
        onConfirm={async () => {
          await client.deleteTemplate({ params: { kind, id } })
          refresh(['templates'])
        }}
      />
    </>
  )),
]

export default function Templates() {
  return (
    <ListPage
      title="Templates"
      lead="Saved extraction settings to start from again."
      query={useQuery(queries.templates())}
      columns={columns}
      empty={{
        text: 'No templates yet. Save one from the dialog that starts an extraction.',
        action: <LinkButton to="/extractions/new">Start an extraction</LinkButton>,
      }}
    />
  )
}

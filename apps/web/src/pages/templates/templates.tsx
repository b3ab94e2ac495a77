// Saved configurations of extractions.
import { extractionTemplateName, type Template } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Play, Trash2 } from 'lucide-react'
import { client, queries } from '../../api.ts'
import { LinkButton } from '../../parts/button.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { formatTime } from '../../parts/format.ts'
import { Missing } from '../../parts/hint.tsx'
import { More } from '../../parts/more.tsx'
import { refresh } from '../../parts/mutation.ts'
import { Empty, Page } from '../../parts/page.tsx'
import { Pending } from '../../parts/problem.tsx'

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
  { name: 'Configuration', wraps: true, cell: ({ config }) => extractionTemplateName(config) },
  {
    name: 'SAE settings',
    wraps: true,
    cell: ({ extra_metadata }) =>
      Object.keys(extra_metadata).length === 0 ? (
        <Missing why="saved without SAEs" />
      ) : (
        <ul className="text-xs">
          {Object.entries(extra_metadata).map(([key, value]) => (
            <li key={key}>
              <span className="text-mute">{key.replaceAll('_', ' ')}</span>{' '}
              {Array.isArray(value) ? value.join(', ') : String(value)}
            </li>
          ))}
        </ul>
      ),
  },
  { name: 'Saved', wideOnly: true, cell: ({ created_at }) => formatTime(created_at) },
  {
    name: 'Actions',
    nameless: true,
    right: true,
    cell: ({ id, kind, name }) => (
      <span className="flex justify-end gap-1">
        <LinkButton small to="/extractions/new" search={{ template: id }} aria-label={`Start from ${name}`}>
          <Play aria-hidden />
          <span className="max-md:sr-only">Start from</span>
        </LinkButton>
        <ConfirmButton
          small
          look="ghost"
          label={<Trash2 aria-hidden />}
          name={`Delete ${name}`}
          title="Delete this template?"
          question={`“${name}” is removed. Extractions started from it stay as they are.`}
          confirm="Delete"
          onConfirm={async () => {
            await client.deleteTemplate({ params: { kind, id } })
            refresh(['templates'])
          }}
        />
      </span>
    ),
  },
]

export function Templates() {
  const templates = useQuery(queries.templates())
  return (
    <Page title="Templates" lead="Configurations of extractions to start from again.">
      {templates.data === undefined ? (
        <Pending query={templates} what="templates" />
      ) : templates.data.data.length === 0 ? (
        <Empty action={<LinkButton to="/extractions/new">Start an extraction</LinkButton>}>
          No template yet. The start dialog of extractions saves its configuration as one.
        </Empty>
      ) : (
        <>
          <DataTable label="Templates" columns={columns} rows={templates.data.data} keyOf={({ id }) => id} />
          <More page={templates.data} />
        </>
      )}
    </Page>
  )
}

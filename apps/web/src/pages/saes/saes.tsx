// Imported SAEs.
import type { Sae } from '@mistudio/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { PackagePlus, Pickaxe } from 'lucide-react'
import { client, queries } from '../../api.ts'
import { SearchBox } from '../../forms/search_box.tsx'
import { HookBadge } from '../../parts/badge.tsx'
import { Button, LinkButton, TextLink } from '../../parts/button.tsx'
import { actionsColumn, RemoveButton, statusColumn } from '../../parts/columns.tsx'
import type { Column } from '../../parts/data_table.tsx'
import { formatCount } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { ListPage } from '../../parts/list.tsx'
import { refresh } from '../../parts/mutation.ts'
import { ImportDialog } from './import_dialog.tsx'

const columns: Column<Sae>[] = [
  {
    name: 'Name',
    head: true,
    cell: ({ name, hook_point }) => (
      <>
        {name}
        <p className="font-mono text-xs font-normal break-all text-mute">{hook_point}</p>
      </>
    ),
  },
  { name: 'Model', cell: ({ model_name }) => model_name },
  {
    name: 'Hook type',
    cell: ({ hook_type }) => (
      <Figure
        value={hook_type}
        format={type => <HookBadge type={type} />}
        why="its hook point is not one of the known types"
      />
    ),
  },
  {
    name: 'Latents',
    right: true,
    cell: ({ architecture, d_in, d_sae, k }) => (
      <span title={`${architecture}: ${formatCount(d_in)} → ${formatCount(d_sae)}`}>
        {formatCount(d_sae)}
        {k !== null && <span className="text-mute"> · k {k}</span>}
      </span>
    ),
  },
  {
    name: 'Training',
    wraps: true,
    cell: ({ training_id, training_name }) => (
      <Figure
        value={training_id}
        format={id => (
          <TextLink to="/trainings/$id" params={{ id }}>
            {training_name ?? 'its training'}
          </TextLink>
        )}
        why="imported from a folder"
      />
    ),
  },
  statusColumn,
  actionsColumn(({ id, name, status }) => (
    <>
      <LinkButton
        small
        to="/extractions/new"
        search={{ sae: id }}
        disabled={status !== 'ready'}
        aria-label={`Extract features of ${name}`}
      >
        <Pickaxe aria-hidden />
        <span className="max-md:sr-only">Extract</span>
      </LinkButton>
      <RemoveButton
        verb="Remove"
        what="SAE"
        name={name}
        question={`${name} will be removed from the studio. If it came from a training, it can be imported again.`}
        onConfirm={async () => {
          await client.deleteSae({ params: { id } })
          refresh(['saes', 'trainings'])
        }}
      />
    </>
  )),
]

export default function Saes() {
  const { search = '', dialog, training } = useSearch({ from: '/saes' })
  const navigate = useNavigate({ from: '/saes' })
  const saes = useQuery({ ...queries.saes(search), placeholderData: keepPreviousData })
  const importing = (open: boolean) =>
    navigate({
      search: previous => ({ ...previous, dialog: open ? 'import' : undefined, training: undefined }),
    })
  const importButton = (
    <Button look="primary" onClick={() => importing(true)}>
      <PackagePlus aria-hidden />
      Import SAEs
    </Button>
  )
  return (
    <ListPage
      title="SAEs"
      lead="Imported sparse autoencoders, ready for extractions."
      actions={importButton}
      tools={
        <SearchBox
          label="Search SAEs"
          value={search}
          onSearch={next =>
            navigate({ search: previous => ({ ...previous, search: next || undefined }), replace: true })
          }
        />
      }
      query={saes}
      columns={columns}
      empty={{ text: 'No SAEs yet. Import them from a training.', action: importButton }}
      filter={search === '' ? undefined : { noMatch: `No SAEs match “${search}”.` }}
    >
      <ImportDialog open={dialog === 'import'} onClose={() => importing(false)} trainingId={training} />
    </ListPage>
  )
}

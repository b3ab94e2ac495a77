// SAEs that can be used.
import type { Sae } from '@mistudio/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { PackagePlus, Pickaxe, Trash2 } from 'lucide-react'
import { client, queries } from '../../api.ts'
import { SearchBox } from '../../forms/search_box.tsx'
import { HookBadge, StatusBadge } from '../../parts/badge.tsx'
import { Button, LinkButton, TextLink } from '../../parts/button.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { formatCount } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { More } from '../../parts/more.tsx'
import { refresh } from '../../parts/mutation.ts'
import { Empty, Page } from '../../parts/page.tsx'
import { Pending } from '../../parts/problem.tsx'
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
        why="its hook point is not of a block's residual stream or its parts"
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
        why="it was imported from a folder"
      />
    ),
  },
  {
    name: 'Status',
    wraps: true,
    cell: ({ status, error_message }) => (
      <>
        <StatusBadge status={status} />
        {error_message !== null && <p className="mt-1 text-xs text-bad">{error_message}</p>}
      </>
    ),
  },
  {
    name: 'Actions',
    nameless: true,
    right: true,
    cell: ({ id, name, status }) => (
      <span className="flex justify-end gap-1">
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
        <ConfirmButton
          small
          look="ghost"
          label={<Trash2 aria-hidden />}
          name={`Forget ${name}`}
          title="Forget this SAE?"
          question={`${name} leaves the studio. One from a training can be imported again.`}
          confirm="Forget"
          onConfirm={async () => {
            await client.deleteSae({ params: { id } })
            refresh(['saes', 'trainings'])
          }}
        />
      </span>
    ),
  },
]

export function Saes() {
  const { search = '', dialog, training } = useSearch({ from: '/saes' })
  const navigate = useNavigate({ from: '/saes' })
  const saes = useQuery({ ...queries.saes(search), placeholderData: keepPreviousData })
  const importing = (open: boolean) =>
    navigate({
      search: previous => ({ ...previous, dialog: open ? 'import' : undefined, training: undefined }),
    })
  const bring = (
    <Button look="primary" onClick={() => importing(true)}>
      <PackagePlus aria-hidden />
      Import SAEs
    </Button>
  )
  return (
    <Page title="SAEs" lead="Sparse autoencoders that can be used for extractions." actions={bring}>
      <div className="mb-3 max-w-sm">
        <SearchBox
          label="Search SAEs"
          value={search}
          onSearch={next =>
            navigate({ search: previous => ({ ...previous, search: next || undefined }), replace: true })
          }
        />
      </div>
      {saes.data === undefined ? (
        <Pending query={saes} what="SAEs" />
      ) : saes.data.data.length === 0 ? (
        search === '' ? (
          <Empty action={bring}>No SAE yet. Import those of a training.</Empty>
        ) : (
          <Empty>No SAE matches “{search}”.</Empty>
        )
      ) : (
        <>
          <DataTable label="SAEs" columns={columns} rows={saes.data.data} keyOf={({ id }) => id} />
          <More page={saes.data} />
        </>
      )}
      <ImportDialog open={dialog === 'import'} onClose={() => importing(false)} trainingId={training} />
    </Page>
  )
}

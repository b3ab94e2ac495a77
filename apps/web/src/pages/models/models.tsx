// Language models: folders on the studio's machine.
import { type Model, modelRequest } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { FolderPlus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { client, queries } from '../../api.ts'
import { TextField } from '../../forms/fields.tsx'
import { descriptionOf } from '../../forms/schema.ts'
import { StatusBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { ConfirmButton, Dialog } from '../../parts/dialog.tsx'
import { formatCount, formatShort } from '../../parts/format.ts'
import { More } from '../../parts/more.tsx'
import { refresh, useAction } from '../../parts/mutation.ts'
import { Empty, Page } from '../../parts/page.tsx'
import { Pending, ProblemBox, problemOf, refusalOf } from '../../parts/problem.tsx'

const columns: Column<Model>[] = [
  {
    name: 'Name',
    head: true,
    cell: ({ name, path }) => (
      <>
        {name}
        <p className="max-w-80 truncate font-mono text-xs font-normal text-mute" title={path}>
          {path}
        </p>
      </>
    ),
  },
  { name: 'Architecture', cell: ({ architecture }) => architecture },
  {
    name: 'Parameters',
    right: true,
    cell: ({ params_count }) => (
      <span title={`${formatCount(params_count)} parameters`}>{formatShort(params_count)}</span>
    ),
  },
  { name: 'Layers', right: true, cell: ({ layers }) => formatCount(layers) },
  { name: 'Width', right: true, cell: ({ d_model }) => formatCount(d_model) },
  { name: 'Vocabulary', right: true, cell: ({ vocab_size }) => formatCount(vocab_size) },
  { name: 'Context', right: true, cell: ({ context_length }) => formatCount(context_length) },
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
    cell: ({ id, name }) => (
      <ConfirmButton
        small
        look="ghost"
        label={<Trash2 aria-hidden />}
        name={`Forget ${name}`}
        title="Forget this model?"
        question={`${name} leaves the studio. Its folder stays where it is.`}
        confirm="Forget"
        onConfirm={async () => {
          await client.deleteModel({ params: { id } })
          refresh(['models'])
        }}
      />
    ),
  },
]

export function Models() {
  const models = useQuery(queries.models())
  const [adding, setAdding] = useState(false)
  const add = (
    <Button look="primary" onClick={() => setAdding(true)}>
      <FolderPlus aria-hidden />
      Add from a folder
    </Button>
  )
  return (
    <Page
      title="Models"
      lead="Decoder-only language models in Hugging Face layout, read from where they lie."
      actions={add}
    >
      {models.data === undefined ? (
        <Pending query={models} what="models" />
      ) : models.data.data.length === 0 ? (
        <Empty action={add}>No model yet.</Empty>
      ) : (
        <>
          <DataTable label="Models" columns={columns} rows={models.data.data} keyOf={({ id }) => id} />
          <More page={models.data} />
        </>
      )}
      <Dialog open={adding} onClose={() => setAdding(false)} title="Add a model">
        <AddForm onClose={() => setAdding(false)} />
      </Dialog>
    </Page>
  )
}

function AddForm({ onClose }: { onClose: () => void }) {
  const [path, setPath] = useState('')
  const [name, setName] = useState('')
  const add = useAction({
    act: () =>
      client.createModel({ body: { path: path.trim(), ...(name.trim() !== '' && { name: name.trim() }) } }),
    touches: ['models'],
    onDone: onClose,
  })
  const refused = problemOf(add.error)
  return (
    <form
      className="space-y-4"
      onSubmit={event => {
        event.preventDefault()
        add.mutate(undefined)
      }}
    >
      <TextField
        label="Folder"
        about={`On the studio's machine: ${descriptionOf(modelRequest, 'path')}.`}
        placeholder="/models/gpt2"
        value={path}
        error={refusalOf(refused, ['path'])}
        required
        spellCheck={false}
        onChange={event => setPath(event.target.value)}
      />
      <TextField
        label="Name"
        about={descriptionOf(modelRequest, 'name')}
        value={name}
        error={refusalOf(refused, ['name'])}
        onChange={event => setName(event.target.value)}
      />
      <ProblemBox error={add.error} />
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={path.trim() === '' || add.isPending}>
          Add
        </Button>
      </div>
    </form>
  )
}

// Language models: folders on the studio's machine.
import type { Model } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { FolderPlus } from 'lucide-react'
import { useState } from 'react'
import { client, queries } from '../../api.ts'
import { Button } from '../../parts/button.tsx'
import { actionsColumn, RemoveButton, statusColumn } from '../../parts/columns.tsx'
import type { Column } from '../../parts/data_table.tsx'
import { formatCount, formatShort } from '../../parts/format.ts'
import { ListPage } from '../../parts/list.tsx'
import { refresh } from '../../parts/mutation.ts'
import { AddModelDialog } from './add_model.tsx'

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
  statusColumn,
  actionsColumn(({ id, name }) => (
    <RemoveButton
      verb="Remove"
      what="model"
      name={name}
      question={`${name} will be removed from the studio. Its folder is left untouched.`}
      onConfirm={async () => {
        await client.deleteModel({ params: { id } })
        refresh(['models'])
      }}
    />
  )),
]

export default function Models() {
  const models = useQuery(queries.models())
  const [adding, setAdding] = useState(false)
  const add = (
    <Button look="primary" onClick={() => setAdding(true)}>
      <FolderPlus aria-hidden />
      Add from a folder
    </Button>
  )
  return (
    <ListPage
      title="Models"
      lead="Decoder-only language models in Hugging Face format, read in place."
      actions={add}
      query={models}
      columns={columns}
      empty={{ text: 'No models yet.', action: add }}
    >
      <AddModelDialog open={adding} onClose={() => setAdding(false)} />
    </ListPage>
  )
}

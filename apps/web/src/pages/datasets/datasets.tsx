// Text, and its tokenizations for each model.
import type { Dataset } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Upload } from 'lucide-react'
import { useState } from 'react'
import { client, queries } from '../../api.ts'
import { Button } from '../../parts/button.tsx'
import { actionsColumn, RemoveButton, statusColumn } from '../../parts/columns.tsx'
import type { Column } from '../../parts/data_table.tsx'
import { formatBytes, formatCount, formatTime } from '../../parts/format.ts'
import { ListPage } from '../../parts/list.tsx'
import { refresh } from '../../parts/mutation.ts'
import { Section } from '../../parts/page.tsx'
import { Tokenizations } from './tokenizations.tsx'
import { UploadDialog } from './upload.tsx'

const columns: Column<Dataset>[] = [
  { name: 'Name', head: true, cell: ({ name }) => name },
  {
    name: 'Format',
    cell: ({ format, text_field }) => (
      <>
        {format}
        {text_field !== null && <span className="text-mute"> · field {text_field}</span>}
      </>
    ),
  },
  {
    name: 'Documents',
    right: true,
    cell: ({ documents, bad_lines }) => (
      <>
        {formatCount(documents)}
        {bad_lines > 0 && <span className="text-warn"> · {formatCount(bad_lines)} bad lines skipped</span>}
      </>
    ),
  },
  { name: 'Size', right: true, cell: ({ size_bytes }) => formatBytes(size_bytes) },
  { name: 'Source', wideOnly: true, cell: ({ source }) => source },
  statusColumn,
  { name: 'Added', wideOnly: true, cell: ({ created_at }) => formatTime(created_at) },
  actionsColumn(({ id, name }) => (
    <RemoveButton
      verb="Delete"
      what="dataset"
      name={name}
      question={`${name} and its tokenizations will be deleted from the data folder.`}
      onConfirm={async () => {
        await client.deleteDataset({ params: { id } })
        refresh(['datasets', 'tokenizations'])
      }}
    />
  )),
]

export default function Datasets() {
  const datasets = useQuery(queries.datasets())
  const [uploading, setUploading] = useState(false)
  const upload = (
    <Button look="primary" onClick={() => setUploading(true)}>
      <Upload aria-hidden />
      Upload
    </Button>
  )
  return (
    <ListPage
      title="Datasets"
      lead="Text to train on and to find features in."
      actions={upload}
      query={datasets}
      columns={columns}
      empty={{ text: 'No datasets yet.', action: upload }}
    >
      <div className="mt-6">
        <Section title="Tokenizations" aside="Created when a training or an extraction needs them">
          <Tokenizations />
        </Section>
      </div>
      <UploadDialog open={uploading} onClose={() => setUploading(false)} />
    </ListPage>
  )
}

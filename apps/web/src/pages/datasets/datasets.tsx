// Text, and what it is once it is tokenized for a model.
import type { Dataset } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Trash2, Upload } from 'lucide-react'
import { useState } from 'react'
import { client, queries } from '../../api.ts'
import { StatusBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { formatBytes, formatCount, formatTime } from '../../parts/format.ts'
import { More } from '../../parts/more.tsx'
import { refresh } from '../../parts/mutation.ts'
import { Empty, Page, Section } from '../../parts/page.tsx'
import { Pending } from '../../parts/problem.tsx'
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
        {bad_lines > 0 && <span className="text-warn"> · {formatCount(bad_lines)} lines passed over</span>}
      </>
    ),
  },
  { name: 'Size', right: true, cell: ({ size_bytes }) => formatBytes(size_bytes) },
  { name: 'Source', wideOnly: true, cell: ({ source }) => source },
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
  { name: 'Added', wideOnly: true, cell: ({ created_at }) => formatTime(created_at) },
  {
    name: 'Actions',
    nameless: true,
    right: true,
    cell: ({ id, name }) => (
      <ConfirmButton
        small
        look="ghost"
        label={<Trash2 aria-hidden />}
        name={`Delete ${name}`}
        title="Delete this dataset?"
        question={`${name} and its tokenizations are removed from the data folder.`}
        confirm="Delete"
        onConfirm={async () => {
          await client.deleteDataset({ params: { id } })
          refresh(['datasets', 'tokenizations'])
        }}
      />
    ),
  },
]

export function Datasets() {
  const datasets = useQuery(queries.datasets())
  const [uploading, setUploading] = useState(false)
  const upload = (
    <Button look="primary" onClick={() => setUploading(true)}>
      <Upload aria-hidden />
      Upload
    </Button>
  )
  return (
    <Page
      title="Datasets"
      lead="Text to train on and to look for features in: .jsonl with a field of text in each line, or .txt."
      actions={upload}
    >
      {datasets.data === undefined ? (
        <Pending query={datasets} what="datasets" />
      ) : datasets.data.data.length === 0 ? (
        <Empty action={upload}>No dataset yet.</Empty>
      ) : (
        <>
          <DataTable label="Datasets" columns={columns} rows={datasets.data.data} keyOf={({ id }) => id} />
          <More page={datasets.data} />
        </>
      )}
      <div className="mt-6">
        <Section title="Tokenizations" aside="A training or an extraction makes what it needs">
          <Tokenizations />
        </Section>
      </div>
      <UploadDialog open={uploading} onClose={() => setUploading(false)} />
    </Page>
  )
}

// Upload of a text file. What the studio refuses is shown as it says it: line, field, what was found, what would do.
import { datasetUpload } from '@mistudio/contract'
import { useState } from 'react'
import { client } from '../../api.ts'
import { CheckField, Field, TextField } from '../../forms/fields.tsx'
import { defaultsOf, descriptionOf } from '../../forms/schema.ts'
import { Button } from '../../parts/button.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { formatBytes } from '../../parts/format.ts'
import { useAction } from '../../parts/mutation.ts'
import { ProblemBox, problemOf, refusalOf } from '../../parts/problem.tsx'

const defaults = defaultsOf(datasetUpload)

export function UploadDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Upload a dataset"
      description="A .jsonl file with one JSON object a line, or a .txt file."
    >
      <UploadForm onClose={onClose} />
    </Dialog>
  )
}

function UploadForm({ onClose }: { onClose: () => void }) {
  const [file, setFile] = useState<File>()
  const [name, setName] = useState('')
  const [textField, setTextField] = useState(String(defaults.text_field))
  const [skip, setSkip] = useState(Boolean(defaults.skip_bad_lines))
  const upload = useAction({
    act: (chosen: File) =>
      client.uploadDataset({
        file: chosen,
        fileName: chosen.name,
        fields: {
          ...(name.trim() !== '' && { name: name.trim() }),
          text_field: textField,
          skip_bad_lines: String(skip),
        },
      }),
    touches: ['datasets'],
    onDone: onClose,
  })
  const refused = problemOf(upload.error)
  return (
    <form
      className="space-y-4"
      onSubmit={event => {
        event.preventDefault()
        if (file !== undefined) upload.mutate(file)
      }}
    >
      <Field label="File" about={file === undefined ? undefined : formatBytes(file.size)}>
        {tied => (
          <input
            type="file"
            accept=".jsonl,.txt"
            required
            className="field-box file:mr-3 file:rounded-sm file:border-0 file:bg-hover file:px-2 file:py-1 file:text-ink"
            onChange={event => {
              setFile(event.target.files?.[0])
              upload.reset()
            }}
            {...tied}
          />
        )}
      </Field>
      <TextField
        label="Name"
        about={descriptionOf(datasetUpload, 'name')}
        placeholder={file?.name.replace(/\.(jsonl|txt)$/, '')}
        value={name}
        error={refusalOf(refused, ['name'])}
        onChange={event => setName(event.target.value)}
      />
      <TextField
        label="Text field"
        about="For .jsonl: the field of each line that holds the text."
        value={textField}
        error={refusalOf(refused, ['text_field'])}
        required
        onChange={event => setTextField(event.target.value)}
      />
      <CheckField
        label="Pass over bad lines"
        about="Lines that are no JSON or lack the field are counted and left out, in place of refusing the file."
        checked={skip}
        onChange={setSkip}
      />
      <ProblemBox error={upload.error} />
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={file === undefined || upload.isPending}>
          {upload.isPending ? 'Uploading …' : 'Upload'}
        </Button>
      </div>
    </form>
  )
}

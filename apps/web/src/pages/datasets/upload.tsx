// The upload dialog. A refusal is shown in full: line, field, what was found there and what was expected.
import { datasetUpload } from '@mistudio/contract'
import { type FormEvent, useState } from 'react'
import { client } from '../../api.ts'
import { CheckField, Field, TextField } from '../../forms/fields.tsx'
import { FormButtons } from '../../forms/form_buttons.tsx'
import { defaultsOf, descriptionOf } from '../../forms/schema.ts'
import { Dialog } from '../../parts/dialog.tsx'
import { formatBytes } from '../../parts/format.ts'
import { useAction } from '../../parts/mutation.ts'
import { problemOf, refusalOf } from '../../parts/problem.tsx'

const defaults = defaultsOf(datasetUpload)

export function UploadDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Upload a dataset"
      description="A .jsonl file with one JSON object per line, or a .txt file."
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
  function submit(event: FormEvent): void {
    event.preventDefault()
    if (file !== undefined) upload.mutate(file)
  }
  return (
    <form className="space-y-4" onSubmit={submit}>
      <FileField
        file={file}
        onChoose={chosen => {
          setFile(chosen)
          upload.reset()
        }}
      />
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
        about="For .jsonl files: the field that holds the text."
        value={textField}
        error={refusalOf(refused, ['text_field'])}
        required
        onChange={event => setTextField(event.target.value)}
      />
      <CheckField
        label="Skip bad lines"
        about="Lines that are not JSON or lack the field are counted and left out. Otherwise they make the upload fail."
        checked={skip}
        onChange={setSkip}
      />
      <FormButtons error={upload.error} disabled={file === undefined || upload.isPending} onCancel={onClose}>
        {upload.isPending ? 'Uploading…' : 'Upload'}
      </FormButtons>
    </form>
  )
}

function FileField(props: { file: File | undefined; onChoose: (file: File | undefined) => void }) {
  const { file, onChoose } = props
  return (
    <Field label="File" about={file === undefined ? undefined : formatBytes(file.size)}>
      {tied => (
        <input
          type="file"
          accept=".jsonl,.txt"
          required
          className="field-box file:mr-3 file:rounded-sm file:border-0 file:bg-hover file:px-2 file:py-1 file:text-ink"
          onChange={event => onChoose(event.target.files?.[0])}
          {...tied}
        />
      )}
    </Field>
  )
}

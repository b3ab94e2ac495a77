// The upload dialog. A refusal is shown in full: line, field, what was found there and what was expected.
import { datasetUpload, type TextFormat } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { client, queries } from '../../api.ts'
import { CheckField, Field, TextField } from '../../forms/fields.tsx'
import { FormButtons } from '../../forms/form_buttons.tsx'
import { defaultsOf, descriptionOf } from '../../forms/schema.ts'
import { Dialog } from '../../parts/dialog.tsx'
import { formatBytes } from '../../parts/format.ts'
import { useAction } from '../../parts/mutation.ts'
import { problemOf, refusalOf } from '../../parts/problem.tsx'

const defaults = defaultsOf(datasetUpload)

export function UploadDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { data } = useQuery(queries.formats())
  const formats = data?.texts ?? []
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Upload a dataset"
      description={formats.map(describe).join('; ')}
    >
      <UploadForm formats={formats} onClose={onClose} />
    </Dialog>
  )
}

/** `.jsonl: one JSON object per line, with a field for the text` */
const describe = ({ extensions, summary }: TextFormat) => `${extensions.join(', ')}: ${summary}`

const formatOf = (formats: readonly TextFormat[], fileName: string): TextFormat | undefined =>
  formats.find(({ extensions }) => extensions.some(ending => fileName.toLowerCase().endsWith(ending)))

function UploadForm({ formats, onClose }: { formats: readonly TextFormat[]; onClose: () => void }) {
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
  const format = file === undefined ? undefined : formatOf(formats, file.name)
  const ending = format?.extensions.find(one => file?.name.toLowerCase().endsWith(one)) ?? ''
  function submit(event: FormEvent): void {
    event.preventDefault()
    if (file !== undefined) upload.mutate(file)
  }
  return (
    <form className="space-y-4" onSubmit={submit}>
      <FileField
        accept={formats.flatMap(({ extensions }) => extensions).join(',')}
        file={file}
        onChoose={chosen => {
          setFile(chosen)
          upload.reset()
        }}
      />
      <TextField
        label="Name"
        about={descriptionOf(datasetUpload, 'name')}
        placeholder={file?.name.slice(0, file.name.length - ending.length)}
        value={name}
        error={refusalOf(refused, ['name'])}
        onChange={event => setName(event.target.value)}
      />
      {format?.has_fields !== false && (
        <>
          <TextField
            label="Text field"
            about="The field of each document that holds its text."
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
        </>
      )}
      <FormButtons error={upload.error} disabled={file === undefined || upload.isPending} onCancel={onClose}>
        {upload.isPending ? 'Uploading…' : 'Upload'}
      </FormButtons>
    </form>
  )
}

function FileField(props: {
  /** Endings of file names, with commas. */
  accept: string
  file: File | undefined
  onChoose: (file: File | undefined) => void
}) {
  const { accept, file, onChoose } = props
  return (
    <Field label="File" about={file === undefined ? undefined : formatBytes(file.size)}>
      {tied => (
        <input
          type="file"
          accept={accept}
          required
          className="field-box file:mr-3 file:rounded-sm file:border-0 file:bg-hover file:px-2 file:py-1 file:text-ink"
          onChange={event => onChoose(event.target.files?.[0])}
          {...tied}
        />
      )}
    </Field>
  )
}

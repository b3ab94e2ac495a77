// Import of one SAE from a folder on the studio's machine.
import { type Model, saeImport } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { client, queries } from '../../api.ts'
import { SelectField, TextField } from '../../forms/fields.tsx'
import { FormButtons } from '../../forms/form_buttons.tsx'
import { descriptionOf } from '../../forms/schema.ts'
import { Loaded } from '../../parts/loaded.tsx'
import { useAction } from '../../parts/mutation.ts'
import { Done, Imported } from './import_result.tsx'

export function FromFolder({ onClose }: { onClose: () => void }) {
  const models = useQuery(queries.models())
  return (
    <Loaded query={models} what="models">
      {({ data }) => <FolderForm models={data} onClose={onClose} />}
    </Loaded>
  )
}

function FolderForm({ models, onClose }: { models: Model[]; onClose: () => void }) {
  const [path, setPath] = useState('')
  const [name, setName] = useState('')
  const [modelId, setModelId] = useState<string | undefined>(models[0]?.id)
  const importing = useAction({
    act: (model_id: string) =>
      client.importSaes({
        body: { path: path.trim(), model_id, ...(name.trim() !== '' && { name: name.trim() }) },
      }),
    touches: ['saes'],
  })
  const result = importing.data
  function submit(event: FormEvent): void {
    event.preventDefault()
    if (modelId !== undefined) importing.mutate(modelId)
  }
  return (
    <form className="space-y-4" onSubmit={submit}>
      <TextField
        label="Folder"
        about={`On the studio's machine: ${descriptionOf(saeImport, 'path')}.`}
        value={path}
        required
        spellCheck={false}
        onChange={event => setPath(event.target.value)}
      />
      <SelectField
        label="Model"
        about="The model it was trained on."
        value={modelId}
        onChange={event => setModelId(event.target.value)}
      >
        {models.map(model => (
          <option key={model.id} value={model.id}>
            {model.name}
          </option>
        ))}
      </SelectField>
      <TextField
        label="Name"
        about="Optional. If empty, the studio chooses one."
        value={name}
        onChange={event => setName(event.target.value)}
      />
      {result === undefined ? (
        <FormButtons
          error={importing.error}
          disabled={path.trim() === '' || modelId === undefined || importing.isPending}
          onCancel={onClose}
        >
          Import
        </FormButtons>
      ) : (
        <>
          <Imported result={result} />
          <div className="flex justify-end gap-2">
            <Done result={result} onClose={onClose} />
          </div>
        </>
      )}
    </form>
  )
}

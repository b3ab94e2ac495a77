// The dialog that adds a model from a folder.
import { modelRequest } from '@mistudio/contract'
import { type FormEvent, useState } from 'react'
import { client } from '../../api.ts'
import { TextField } from '../../forms/fields.tsx'
import { FormButtons } from '../../forms/form_buttons.tsx'
import { descriptionOf } from '../../forms/schema.ts'
import { Dialog } from '../../parts/dialog.tsx'
import { useAction } from '../../parts/mutation.ts'
import { problemOf, refusalOf } from '../../parts/problem.tsx'

export function AddModelDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Add a model">
      <AddForm onClose={onClose} />
    </Dialog>
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
  function submit(event: FormEvent): void {
    event.preventDefault()
    add.mutate(undefined)
  }
  return (
    <form className="space-y-4" onSubmit={submit}>
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
      <FormButtons error={add.error} disabled={path.trim() === '' || add.isPending} onCancel={onClose}>
        Add
      </FormButtons>
    </form>
  )
}

// Import of a training's SAEs, all of them unless some are unchecked; those that are imported already are shown and
// cannot be chosen again. Or of one from a folder.
import { type AvailableSae, type ResponseOf, saeImport } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Tabs } from 'radix-ui'
import { type ReactNode, useState } from 'react'
import { client, queries } from '../../api.ts'
import { SelectField, TextField, toggledIn } from '../../forms/fields.tsx'
import { descriptionOf } from '../../forms/schema.ts'
import { Badge, HookBadge } from '../../parts/badge.tsx'
import { Button, LinkButton } from '../../parts/button.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { formatCount, formatNumberOf } from '../../parts/format.ts'
import { useAction } from '../../parts/mutation.ts'
import { Pending, ProblemBox } from '../../parts/problem.tsx'

type Result = ResponseOf<'importSaes'>

/** @param props.trainingId the training to begin with; without one it is chosen, or a folder is named */
export function ImportDialog(props: { open: boolean; onClose: () => void; trainingId?: string }) {
  const { open, onClose, trainingId } = props
  return (
    <Dialog
      open={open}
      onClose={onClose}
      wide
      title="Import SAEs"
      description="An imported SAE can be used for extractions."
    >
      {trainingId === undefined ? (
        <Tabs.Root defaultValue="training">
          <Tabs.List aria-label="Import from" className="mb-4 flex gap-1 border-b border-line">
            <Tab value="training">From a training</Tab>
            <Tab value="folder">From a folder</Tab>
          </Tabs.List>
          <Tabs.Content value="training">
            <ChooseTraining onClose={onClose} />
          </Tabs.Content>
          <Tabs.Content value="folder">
            <FromFolder onClose={onClose} />
          </Tabs.Content>
        </Tabs.Root>
      ) : (
        <FromTraining trainingId={trainingId} onClose={onClose} />
      )}
    </Dialog>
  )
}

const Tab = ({ value, children }: { value: string; children: ReactNode }) => (
  <Tabs.Trigger
    value={value}
    className="-mb-px border-b-2 border-transparent px-3 py-1.5 text-soft hover:text-ink data-[state=active]:border-accent data-[state=active]:font-medium data-[state=active]:text-ink"
  >
    {children}
  </Tabs.Trigger>
)

function ChooseTraining({ onClose }: { onClose: () => void }) {
  const trainings = useQuery(queries.trainings())
  const [chosen, setChosen] = useState<string>()
  if (trainings.data === undefined) return <Pending query={trainings} what="trainings" />
  const ready = trainings.data.data.filter(({ saes_available }) => saes_available)
  if (ready.length === 0) return <p className="py-6 text-center text-soft">No training has SAEs yet.</p>
  const id = chosen ?? ready[0].id
  return (
    <div className="space-y-4">
      <SelectField label="Training" value={id} onChange={event => setChosen(event.target.value)}>
        {ready.map(training => (
          <option key={training.id} value={training.id}>
            {training.name} · {formatNumberOf(training.saes.length, 'SAE')}
          </option>
        ))}
      </SelectField>
      <FromTraining key={id} trainingId={id} onClose={onClose} />
    </div>
  )
}

function FromTraining({ trainingId, onClose }: { trainingId: string; onClose: () => void }) {
  const available = useQuery(queries.trainingSaes(trainingId))
  const [left, setLeft] = useState<string[]>([])
  const bring = useAction({
    act: (saes: AvailableSae[]) => importAll(trainingId, saes),
    touches: ['saes', 'trainings'],
  })
  if (available.data === undefined) return <Pending query={available} what="SAEs" />
  const free = available.data.data.filter(({ imported_sae_id }) => imported_sae_id === null)
  const chosen = free.filter(sae => !left.includes(keyOf(sae)))
  return (
    <div className="space-y-4">
      <ul className="divide-y divide-line rounded-md border border-line" aria-label="SAEs of the training">
        {available.data.data.map(sae => (
          <Choice
            key={keyOf(sae)}
            sae={sae}
            chosen={chosen.includes(sae)}
            onChoose={on => setLeft(toggledIn(left, keyOf(sae), !on))}
          />
        ))}
      </ul>
      <ProblemBox error={bring.error} />
      {bring.data !== undefined && <Imported result={bring.data} />}
      <div className="flex flex-wrap items-center justify-end gap-2">
        {bring.data === undefined ? (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button
              look="primary"
              disabled={chosen.length === 0 || bring.isPending}
              onClick={() => bring.mutate(chosen)}
            >
              {free.length === 0 ? 'All are imported' : `Import ${formatNumberOf(chosen.length, 'SAE')}`}
            </Button>
          </>
        ) : (
          <Done result={bring.data} onClose={onClose} />
        )}
      </div>
    </div>
  )
}

const keyOf = ({ member, checkpoint }: AvailableSae) => `${member}@${checkpoint}`

/** A request imports SAEs of one checkpoint, or of the end. */
async function importAll(trainingId: string, saes: AvailableSae[]): Promise<Result> {
  const result: Result = { imported: [], skipped: [] }
  for (const checkpoint of new Set(saes.map(sae => sae.checkpoint))) {
    const members = saes.filter(sae => sae.checkpoint === checkpoint).map(({ member }) => member)
    const body = { training_id: trainingId, members, ...(checkpoint !== null && { checkpoint }) }
    const { imported, skipped } = await client.importSaes({ body })
    result.imported.push(...imported)
    result.skipped.push(...skipped)
  }
  return result
}

function Choice(props: { sae: AvailableSae; chosen: boolean; onChoose: (on: boolean) => void }) {
  const { sae, chosen, onChoose } = props
  const done = sae.imported_sae_id !== null
  return (
    <li>
      <label className={`flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2 ${done ? 'text-mute' : ''}`}>
        <input
          type="checkbox"
          checked={done || chosen}
          disabled={done}
          onChange={event => onChoose(event.target.checked)}
        />
        <span className="min-w-0 font-mono text-xs break-all">{sae.member}</span>
        {sae.checkpoint !== null && <Badge>step {formatCount(sae.checkpoint)}</Badge>}
        {sae.hook_type !== null && <HookBadge type={sae.hook_type} />}
        <span className="text-xs text-mute">
          {sae.architecture}, {formatCount(sae.d_in)} → {formatCount(sae.d_sae)}
          {sae.k !== null && `, k ${sae.k}`}
        </span>
        {done && (
          <span className="ml-auto">
            <Badge>already imported</Badge>
          </span>
        )}
      </label>
    </li>
  )
}

function Imported({ result }: { result: Result }) {
  const { imported, skipped } = result
  return (
    <div role="status" className="rounded-lg bg-accent-soft p-3" data-testid="import-result">
      <p className="font-medium">{formatNumberOf(imported.length, 'SAE')} imported.</p>
      {skipped.map(({ member, reason }) => (
        <p key={`${member} ${reason}`} className="text-soft">
          <span className="font-mono text-xs">{member}</span> skipped: {reason}
        </p>
      ))}
    </div>
  )
}

function Done({ result, onClose }: { result: Result; onClose: () => void }) {
  return (
    <>
      <Button onClick={onClose}>Close</Button>
      {result.imported.length > 0 && (
        <LinkButton
          to="/extractions/new"
          search={{ sae: result.imported.map(({ id }) => id).join(',') }}
          look="primary"
        >
          Extract features
        </LinkButton>
      )}
    </>
  )
}

function FromFolder({ onClose }: { onClose: () => void }) {
  const models = useQuery(queries.models())
  const [path, setPath] = useState('')
  const [name, setName] = useState('')
  const [chosen, setChosen] = useState<string>()
  const bring = useAction({
    act: (modelId: string) =>
      client.importSaes({
        body: { path: path.trim(), model_id: modelId, ...(name.trim() !== '' && { name: name.trim() }) },
      }),
    touches: ['saes'],
  })
  if (models.data === undefined) return <Pending query={models} what="models" />
  const modelId = chosen ?? models.data.data[0]?.id
  return (
    <form
      className="space-y-4"
      onSubmit={event => {
        event.preventDefault()
        if (modelId !== undefined) bring.mutate(modelId)
      }}
    >
      <TextField
        label="Folder"
        about={`On the studio's machine, in SAELens layout: ${descriptionOf(saeImport, 'path')}.`}
        value={path}
        required
        spellCheck={false}
        onChange={event => setPath(event.target.value)}
      />
      <SelectField
        label="Model"
        about="The model it was trained on."
        value={modelId}
        onChange={event => setChosen(event.target.value)}
      >
        {models.data.data.map(model => (
          <option key={model.id} value={model.id}>
            {model.name}
          </option>
        ))}
      </SelectField>
      <TextField
        label="Name"
        about="Left empty, the studio gives one."
        value={name}
        onChange={event => setName(event.target.value)}
      />
      <ProblemBox error={bring.error} />
      {bring.data !== undefined && <Imported result={bring.data} />}
      <div className="flex justify-end gap-2">
        {bring.data === undefined ? (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button
              type="submit"
              look="primary"
              disabled={path.trim() === '' || modelId === undefined || bring.isPending}
            >
              Import
            </Button>
          </>
        ) : (
          <Done result={bring.data} onClose={onClose} />
        )}
      </div>
    </form>
  )
}

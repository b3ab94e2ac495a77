// The import dialog: SAEs of a training, or one from a folder.
import { useQuery } from '@tanstack/react-query'
import { Tabs } from 'radix-ui'
import { type ReactNode, useState } from 'react'
import { queries } from '../../api.ts'
import { SelectField } from '../../forms/fields.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { formatNumberOf } from '../../parts/format.ts'
import { Loaded } from '../../parts/loaded.tsx'
import { FromFolder } from './import_folder.tsx'
import { FromTraining } from './import_training.tsx'

/** @param props.trainingId the training to import from; without one the user picks a training or a folder */
export function ImportDialog(props: { open: boolean; onClose: () => void; trainingId?: string }) {
  const { open, onClose, trainingId } = props
  return (
    <Dialog
      open={open}
      onClose={onClose}
      wide
      title="Import SAEs"
      description="Imported SAEs can be used for extractions."
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
  return (
    <Loaded query={trainings} what="trainings">
      {({ data }) => {
        const ready = data.filter(({ saes_available }) => saes_available)
        if (ready.length === 0)
          return <p className="py-6 text-center text-soft">No training has finished SAEs yet.</p>
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
      }}
    </Loaded>
  )
}

// The checkpoints of a training with their sizes. SAEs can be made from any of them.
import type { Checkpoint, Training } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { client, queries } from '../../api.ts'
import { isEnded } from '../../live/active.ts'
import { Badge } from '../../parts/badge.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { formatBytes, formatCount, formatFigure, formatTime } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { refresh } from '../../parts/mutation.ts'
import { Section } from '../../parts/page.tsx'

const columns: Column<Checkpoint>[] = [
  {
    name: 'Step',
    head: true,
    cell: ({ step, best, finalised }) => (
      <span className="flex flex-wrap items-center gap-1.5">
        {formatCount(step)}
        {best && <Badge tone="good">best</Badge>}
        {finalised && <Badge>finalised</Badge>}
      </span>
    ),
  },
  { name: 'Tokens', right: true, cell: ({ tokens }) => formatCount(tokens) },
  {
    name: 'Mean FVU',
    right: true,
    cell: ({ fvu }) => <Figure value={fvu} format={formatFigure} why="not measured when it was written" />,
  },
  { name: 'SAEs in training', right: true, cell: ({ saes }) => formatCount(saes.length) },
  { name: 'Size', right: true, cell: checkpoint => formatBytes(checkpoint.bytes) },
  { name: 'Written', wideOnly: true, cell: ({ at }) => formatTime(at) },
]

export function Checkpoints({ training }: { training: Training }) {
  const { id, status } = training
  const ended = isEnded(training)
  const checkpoints = useQuery(queries.checkpoints(id, !ended))
  const rows = checkpoints.data?.data ?? []
  if (rows.length === 0) return null
  const bytes = rows.reduce((sum, checkpoint) => sum + checkpoint.bytes, 0)
  const canFinalise = ended || status === 'paused'
  const actions: Column<Checkpoint> = {
    name: 'Actions',
    nameless: true,
    cell: ({ step, finalised, saes }) =>
      canFinalise && !finalised && saes.length > 0 && <Finalise trainingId={id} step={step} />,
  }
  return (
    <Section title="Checkpoints" aside={`${formatBytes(bytes)} on disk`}>
      <DataTable
        label="Checkpoints"
        columns={[...columns, actions]}
        rows={rows}
        keyOf={({ step }) => String(step)}
      />
    </Section>
  )
}

const Finalise = ({ trainingId, step }: { trainingId: string; step: number }) => (
  <ConfirmButton
    look="ghost"
    small
    danger={false}
    label={
      <>
        Finalise<span className="sr-only"> step {step}</span>
      </>
    }
    title="Make SAEs from this checkpoint?"
    question={`The SAEs that were training at step ${formatCount(step)} are saved as they were then, and can be imported alongside the others.`}
    confirm="Finalise"
    onConfirm={async () => {
      await client.finaliseTraining({ params: { id: trainingId }, body: { step } })
      refresh(['trainings', 'jobs'])
    }}
  />
)

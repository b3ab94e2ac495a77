// The checkpoints of a training with what they take on the disk; SAEs can be made of any of them.
import { type Checkpoint, isTerminal, type Training, trainingMachine } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { client, queries } from '../../api.ts'
import { Badge } from '../../parts/badge.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { formatBytes, formatCount, formatFigure, formatTime } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { refresh } from '../../parts/mutation.ts'
import { Section } from '../../parts/page.tsx'

export function Checkpoints({ training }: { training: Training }) {
  const { id, status } = training
  const ended = isTerminal(trainingMachine, status)
  const rests = ended || status === 'paused'
  const checkpoints = useQuery(queries.checkpoints(id, !ended))
  const rows = checkpoints.data?.data ?? []
  if (rows.length === 0) return null
  const bytes = rows.reduce((sum, checkpoint) => sum + checkpoint.bytes, 0)
  const columns: Column<Checkpoint>[] = [
    {
      name: 'Step',
      head: true,
      cell: ({ step, best, finalised }) => (
        <span className="flex flex-wrap items-center gap-1.5">
          {formatCount(step)}
          {best && <Badge tone="good">best</Badge>}
          {finalised && <Badge>SAEs made</Badge>}
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
    {
      name: 'Actions',
      nameless: true,
      cell: ({ step, finalised, saes }) =>
        rests &&
        !finalised &&
        saes.length > 0 && (
          <ConfirmButton
            look="ghost"
            small
            danger={false}
            label={
              <>
                Finalise<span className="sr-only"> step {step}</span>
              </>
            }
            title="Make SAEs of this checkpoint?"
            question={`The SAEs that trained at step ${formatCount(step)} are saved as they were then, and can be imported beside the others.`}
            confirm="Finalise"
            onConfirm={async () => {
              await client.finaliseTraining({ params: { id }, body: { step } })
              refresh(['trainings', 'jobs'])
            }}
          />
        ),
    },
  ]
  return (
    <Section title="Checkpoints" aside={`${formatBytes(bytes)} on the disk`}>
      <DataTable label="Checkpoints" columns={columns} rows={rows} keyOf={({ step }) => String(step)} />
    </Section>
  )
}

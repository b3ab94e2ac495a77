// All trainings, live.
import { channelOf, isTerminal, type Training, trainingMachine } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { queries } from '../../api.ts'
import { useLive } from '../../live/live.ts'
import { HookBadge, StatusBadge } from '../../parts/badge.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { formatCount, formatTime } from '../../parts/format.ts'
import { More } from '../../parts/more.tsx'
import { Empty, Page } from '../../parts/page.tsx'
import { Pending } from '../../parts/problem.tsx'
import { ProgressBar } from '../../parts/progress.tsx'

const columns: Column<Training>[] = [
  {
    name: 'Name',
    head: true,
    cell: ({ id, name }) => (
      <TextLink to="/trainings/$id" params={{ id }}>
        {name}
      </TextLink>
    ),
  },
  { name: 'Model', cell: ({ model_name }) => model_name },
  { name: 'Datasets', wraps: true, cell: ({ dataset_names }) => dataset_names.join(', ') },
  { name: 'Layers', wraps: true, cell: ({ layers }) => layers.join(', ') },
  {
    name: 'Hook types',
    wraps: true,
    cell: ({ hook_types }) => (
      <span className="flex flex-wrap gap-1">
        {hook_types.map(type => (
          <HookBadge key={type} type={type} />
        ))}
      </span>
    ),
  },
  { name: 'SAEs', right: true, cell: ({ saes }) => formatCount(saes.length) },
  { name: 'Status', cell: training => <State training={training} /> },
  { name: 'Started', wideOnly: true, cell: ({ created_at }) => formatTime(created_at) },
]

export function Trainings() {
  const trainings = useQuery(queries.trainings())
  const start = (
    <LinkButton to="/trainings/new" look="primary">
      <Plus aria-hidden />
      Start a training
    </LinkButton>
  )
  return (
    <Page
      title="Trainings"
      lead="One pass of a model over text, one SAE for each layer and hook type."
      actions={start}
    >
      {trainings.data === undefined ? (
        <Pending query={trainings} what="trainings" />
      ) : trainings.data.data.length === 0 ? (
        <Empty action={start}>No training yet.</Empty>
      ) : (
        <>
          <DataTable label="Trainings" columns={columns} rows={trainings.data.data} keyOf={({ id }) => id} />
          <More page={trainings.data} />
        </>
      )}
    </Page>
  )
}

function State({ training }: { training: Training }) {
  const { id, name, status, progress, kept } = training
  const active = !isTerminal(trainingMachine, status)
  useLive(active ? channelOf.training(id) : null)
  return (
    <div className="min-w-36 space-y-1">
      <StatusBadge status={status} />
      {kept && <span className="ml-1.5 text-xs text-mute">SAEs kept</span>}
      {active && <ProgressBar small share={progress} label={`Progress of ${name}`} />}
    </div>
  )
}

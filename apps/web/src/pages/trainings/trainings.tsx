// All trainings, live.
import type { Training } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { queries } from '../../api.ts'
import { channelWhileActive, isEnded } from '../../live/active.ts'
import { HookBadges, StatusBadge } from '../../parts/badge.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import type { Column } from '../../parts/data_table.tsx'
import { formatCount, formatTime } from '../../parts/format.ts'
import { ListPage } from '../../parts/list.tsx'
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
        <HookBadges types={hook_types} />
      </span>
    ),
  },
  { name: 'SAEs', right: true, cell: ({ saes }) => formatCount(saes.length) },
  { name: 'Status', cell: training => <State training={training} /> },
  { name: 'Created', wideOnly: true, cell: ({ created_at }) => formatTime(created_at) },
]

export default function Trainings() {
  const start = (
    <LinkButton to="/trainings/new" look="primary">
      <Plus aria-hidden />
      Start a training
    </LinkButton>
  )
  return (
    <ListPage
      title="Trainings"
      lead="Each training runs a model over text once and trains an SAE for every layer and hook type."
      actions={start}
      query={useQuery(queries.trainings())}
      columns={columns}
      empty={{ text: 'No trainings yet.', action: start }}
      channelOf={channelWhileActive.training}
    />
  )
}

function State({ training }: { training: Training }) {
  const { name, status, progress, kept } = training
  return (
    <div className="min-w-36 space-y-1">
      <StatusBadge status={status} />
      {kept && <span className="ml-1.5 text-xs text-mute">SAEs kept</span>}
      {!isEnded(training) && <ProgressBar small share={progress} label={`Progress of ${name}`} />}
    </div>
  )
}

// Datasets as the tokens of a model, live while one is being made.
import type { Tokenization } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { client, queries } from '../../api.ts'
import { channelWhileActive } from '../../live/active.ts'
import { StatusBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import type { Column } from '../../parts/data_table.tsx'
import { formatCount } from '../../parts/format.ts'
import { Missing } from '../../parts/hint.tsx'
import { List } from '../../parts/list.tsx'
import { useAction } from '../../parts/mutation.ts'
import { ProgressBar } from '../../parts/progress.tsx'

const counts = (split: 'train' | 'held_out', row: Tokenization) =>
  row.splits === null ? (
    <Missing why="known once it is ready" />
  ) : (
    <>
      {formatCount(row.splits[split].tokens)}
      <span className="text-mute"> ({formatCount(row.splits[split].documents)})</span>
    </>
  )

const columns: Column<Tokenization>[] = [
  { name: 'Dataset', head: true, cell: ({ dataset_name }) => dataset_name },
  { name: 'Model', cell: ({ model_name }) => model_name },
  { name: 'Context', right: true, cell: ({ context_size }) => formatCount(context_size) },
  { name: 'Training tokens (documents)', right: true, cell: row => counts('train', row) },
  { name: 'Held-out tokens (documents)', right: true, cell: row => counts('held_out', row) },
  { name: 'Status', wraps: true, cell: row => <State row={row} /> },
]

export function Tokenizations() {
  return (
    <List
      label="Tokenizations"
      query={useQuery(queries.tokenizations())}
      columns={columns}
      empty={{ text: 'None yet.' }}
      channelOf={channelWhileActive.tokenization}
    />
  )
}

function State({ row }: { row: Tokenization }) {
  const cancel = useAction({
    act: () => client.cancelTokenization({ params: { id: row.id } }),
    touches: ['tokenizations'],
  })
  return (
    <div className="flex min-w-0 flex-wrap items-center gap-2">
      <StatusBadge status={row.status} />
      {channelWhileActive.tokenization(row) !== null && (
        <>
          <div className="min-w-32 flex-1">
            <ProgressBar small share={row.progress} label={`Progress of tokenizing ${row.dataset_name}`} />
          </div>
          <Button small disabled={cancel.isPending} onClick={() => cancel.mutate(undefined)}>
            Cancel
          </Button>
        </>
      )}
      {row.error_message !== null && <p className="w-full text-xs text-bad">{row.error_message}</p>}
    </div>
  )
}

// Datasets as tokens of a model, live while one is made.
import { channelOf, isTerminal, type Tokenization, tokenizationMachine } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { client, queries } from '../../api.ts'
import { useLive } from '../../live/live.ts'
import { StatusBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { formatCount } from '../../parts/format.ts'
import { Missing } from '../../parts/hint.tsx'
import { More } from '../../parts/more.tsx'
import { useAction } from '../../parts/mutation.ts'
import { Empty } from '../../parts/page.tsx'
import { Pending } from '../../parts/problem.tsx'
import { ProgressBar } from '../../parts/progress.tsx'

const counts = (split: 'train' | 'held_out', row: Tokenization) =>
  row.splits === null ? (
    <Missing why="known when it is ready" />
  ) : (
    <>
      {formatCount(row.splits[split].tokens)}
      <span className="text-mute"> in {formatCount(row.splits[split].documents)}</span>
    </>
  )

const columns: Column<Tokenization>[] = [
  { name: 'Dataset', head: true, cell: ({ dataset_name }) => dataset_name },
  { name: 'Model', cell: ({ model_name }) => model_name },
  { name: 'Context', right: true, cell: ({ context_size }) => formatCount(context_size) },
  { name: 'Train tokens, documents', right: true, cell: row => counts('train', row) },
  { name: 'Held-out tokens, documents', right: true, cell: row => counts('held_out', row) },
  { name: 'Status', wraps: true, cell: row => <State row={row} /> },
]

export function Tokenizations() {
  const tokenizations = useQuery(queries.tokenizations())
  if (tokenizations.data === undefined) return <Pending query={tokenizations} what="tokenizations" />
  if (tokenizations.data.data.length === 0) return <Empty>None yet.</Empty>
  return (
    <>
      <DataTable
        label="Tokenizations"
        columns={columns}
        rows={tokenizations.data.data}
        keyOf={({ id }) => id}
      />
      <More page={tokenizations.data} />
    </>
  )
}

function State({ row }: { row: Tokenization }) {
  const active = !isTerminal(tokenizationMachine, row.status)
  useLive(active ? channelOf.tokenization(row.id) : null)
  const cancel = useAction({
    act: () => client.cancelTokenization({ params: { id: row.id } }),
    touches: ['tokenizations'],
  })
  return (
    <div className="flex min-w-0 flex-wrap items-center gap-2">
      <StatusBadge status={row.status} />
      {active && (
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

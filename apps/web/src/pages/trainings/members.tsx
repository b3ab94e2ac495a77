// What every SAE of a training measures now, its own state, and another try for one that failed or was stopped.
import { isTerminal, type Training, type TrainingMember, trainingMachine } from '@mistudio/contract'
import { RotateCw } from 'lucide-react'
import { client } from '../../api.ts'
import { Badge, HookBadge, MemberBadge } from '../../parts/badge.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { formatCount, formatFigure, formatPercent } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { refresh } from '../../parts/mutation.ts'
import { textOf } from './asked.ts'

const notYet = 'not measured yet'

const measured = (name: string, of: 'loss' | 'fvu' | 'l0' | 'grad_norm'): Column<TrainingMember> => ({
  name,
  right: true,
  cell: member => (
    <span data-testid={of}>
      <Figure value={member[of]} format={formatFigure} why={notYet} />
    </span>
  ),
})

export function Members({ training }: { training: Training }) {
  const { saes, status, id } = training
  const ended = isTerminal(trainingMachine, status)
  const several = saes.some(({ variant }) => Object.keys(variant).length > 0)
  const columns: Column<TrainingMember>[] = [
    {
      name: 'SAE',
      head: true,
      cell: ({ hook_point, inputs, outputs }) => (
        <span className="font-mono text-xs">
          {inputs.length > 1 ? inputs.join(', ') : hook_point}
          {String(outputs) !== String(inputs) && ` → ${outputs.join(', ')}`}
        </span>
      ),
    },
    ...(several
      ? [{ name: 'Variant', cell: ({ variant }: TrainingMember) => <Variant of={variant} /> }]
      : []),
    { name: 'Hook type', cell: ({ hook_type }) => hook_type !== null && <HookBadge type={hook_type} /> },
    {
      name: 'State',
      cell: ({ status: own, error_message }) => (
        <span title={error_message ?? undefined}>
          <MemberBadge status={own} />
        </span>
      ),
    },
    measured('Loss', 'loss'),
    measured('FVU', 'fvu'),
    measured('L0', 'l0'),
    {
      name: 'Dead latents',
      right: true,
      cell: ({ dead_latents, d_sae }) => (
        <span data-testid="dead">
          <Figure
            value={dead_latents}
            format={dead => (
              <>
                {formatCount(dead)}
                <span className="text-mute"> · {formatPercent(dead / d_sae)}</span>
              </>
            )}
            why="known when the window of tokens in which a latent may stay silent was seen"
          />
        </span>
      ),
    },
    measured('Gradient norm', 'grad_norm'),
    ...(ended && saes.some(isRetriable)
      ? [
          {
            name: 'Actions',
            nameless: true,
            cell: (member: TrainingMember) => isRetriable(member) && <Retry id={id} member={member} />,
          },
        ]
      : []),
  ]
  return (
    <DataTable label="SAEs of the training" columns={columns} rows={saes} keyOf={member => member.name} />
  )
}

const isRetriable = ({ status }: TrainingMember) => status === 'failed' || status === 'stopped'

export const Variant = ({ of }: { of: TrainingMember['variant'] }) => (
  <span className="flex flex-wrap gap-1">
    {Object.entries(of).map(([name, value]) => (
      <Badge key={name}>
        {name} {textOf(value)}
      </Badge>
    ))}
  </span>
)

const Retry = ({ id, member }: { id: string; member: TrainingMember }) => (
  <ConfirmButton
    look="ghost"
    small
    label={
      <>
        <RotateCw aria-hidden />
        Retry
      </>
    }
    title="Train this SAE again?"
    question={`${member.name} goes on from its last checkpoint, or from the start where there is none. The others stay as they are.${member.error_message === null ? '' : ` It ended with: ${member.error_message}`}`}
    confirm="Retry"
    danger={false}
    onConfirm={async () => {
      await client.retryTraining({ params: { id }, body: { member: member.name } })
      refresh(['trainings', 'jobs'])
    }}
  />
)

// The SAEs of a training: the state of each, its latest figures, and a retry for one that failed or was stopped.
import type { Training, TrainingMember } from '@mistudio/contract'
import { RotateCw } from 'lucide-react'
import { client } from '../../api.ts'
import { isEnded } from '../../live/active.ts'
import { Badge, HookBadge, MemberBadge } from '../../parts/badge.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { ConfirmButton } from '../../parts/dialog.tsx'
import { formatCount, formatFigure, formatPercent, settingText } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { refresh } from '../../parts/mutation.ts'

const measured = (name: string, of: 'loss' | 'fvu' | 'l0' | 'grad_norm'): Column<TrainingMember> => ({
  name,
  right: true,
  cell: member => (
    <span data-testid={of}>
      <Figure value={member[of]} format={formatFigure} why="not measured yet" />
    </span>
  ),
})

const place: Column<TrainingMember> = {
  name: 'SAE',
  head: true,
  cell: ({ hook_point, inputs, outputs }) => (
    <span className="font-mono text-xs">
      {inputs.length > 1 ? inputs.join(', ') : hook_point}
      {String(outputs) !== String(inputs) && ` → ${outputs.join(', ')}`}
    </span>
  ),
}

const variant: Column<TrainingMember> = { name: 'Variant', cell: row => <Variant of={row.variant} /> }

const rest: Column<TrainingMember>[] = [
  { name: 'Hook type', cell: ({ hook_type }) => hook_type !== null && <HookBadge type={hook_type} /> },
  {
    name: 'State',
    cell: ({ status, error_message }) => (
      <span title={error_message ?? undefined}>
        <MemberBadge status={status} />
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
          why="known once enough tokens have passed to call a latent dead"
        />
      </span>
    ),
  },
  measured('Gradient norm', 'grad_norm'),
]

export function Members({ training }: { training: Training }) {
  const { saes, id } = training
  const columns = [place, ...rest]
  if (saes.some(member => Object.keys(member.variant).length > 0)) columns.splice(1, 0, variant)
  if (isEnded(training) && saes.some(isRetriable)) {
    columns.push({
      name: 'Actions',
      nameless: true,
      cell: member => isRetriable(member) && <Retry id={id} member={member} />,
    })
  }
  return (
    <DataTable label="SAEs of the training" columns={columns} rows={saes} keyOf={member => member.name} />
  )
}

const isRetriable = ({ status }: TrainingMember) => status === 'failed' || status === 'stopped'

const Variant = ({ of }: { of: TrainingMember['variant'] }) => (
  <span className="flex flex-wrap gap-1">
    {Object.entries(of).map(([name, value]) => (
      <Badge key={name}>
        {name} {settingText(value)}
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
    question={
      `${member.name} resumes from its last checkpoint, or starts over if there is none. The other SAEs are not affected.` +
      (member.error_message === null ? '' : ` It ended with: ${member.error_message}`)
    }
    confirm="Retry"
    danger={false}
    onConfirm={async () => {
      await client.retryTraining({ params: { id }, body: { member: member.name } })
      refresh(['trainings', 'jobs'])
    }}
  />
)

// What every SAE of a training measures now.
import type { Training, TrainingMember } from '@mistudio/contract'
import { HookBadge } from '../../parts/badge.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { formatCount, formatFigure, formatPercent } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'

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
  const { saes, hyperparameters } = training
  const columns: Column<TrainingMember>[] = [
    {
      name: 'Hook point',
      head: true,
      cell: ({ hook_point }) => <span className="font-mono text-xs">{hook_point}</span>,
    },
    { name: 'Layer', right: true, cell: ({ layer }) => layer },
    { name: 'Hook type', cell: ({ hook_type }) => <HookBadge type={hook_type} /> },
    measured('Loss', 'loss'),
    measured('FVU', 'fvu'),
    measured('L0', 'l0'),
    {
      name: 'Dead latents',
      right: true,
      cell: ({ dead_latents }) => (
        <span data-testid="dead">
          <Figure
            value={dead_latents}
            format={dead => (
              <>
                {formatCount(dead)}
                <span className="text-mute"> · {formatPercent(dead / hyperparameters.d_sae)}</span>
              </>
            )}
            why="known when the window of tokens in which a latent may stay silent was seen"
          />
        </span>
      ),
    },
    measured('Gradient norm', 'grad_norm'),
  ]
  return (
    <DataTable
      label="SAEs of the training"
      columns={columns}
      rows={saes}
      keyOf={member => member.hook_point}
    />
  )
}

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
  const { saes } = training
  const columns: Column<TrainingMember>[] = [
    {
      name: 'SAE',
      head: true,
      cell: ({ name }) => <span className="font-mono text-xs">{name}</span>,
    },
    { name: 'Layer', right: true, cell: ({ layer }) => layer },
    { name: 'Hook type', cell: ({ hook_type }) => hook_type !== null && <HookBadge type={hook_type} /> },
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
  ]
  return (
    <DataTable label="SAEs of the training" columns={columns} rows={saes} keyOf={member => member.name} />
  )
}

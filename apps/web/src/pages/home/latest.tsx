// The newest trainings, extractions and SAEs, a few of each.
import type { Extraction, Sae, Training } from '@mistudio/contract'
import type { ReactNode } from 'react'
import { BatchBadge, StageBadge, StatusBadge } from '../../parts/badge.tsx'
import { TextLink } from '../../parts/button.tsx'
import { formatCount, formatNumberOf, formatTime } from '../../parts/format.ts'
import { Empty, Section } from '../../parts/page.tsx'

const rowsShown = 5

export const LatestTrainings = ({ trainings }: { trainings: Training[] | undefined }) => (
  <Latest title="Latest trainings" to="/trainings" items={trainings}>
    {({ id, name, model_name, saes, status }) => ({
      link: (
        <TextLink to="/trainings/$id" params={{ id }}>
          {name}
        </TextLink>
      ),
      note: `${model_name}, ${formatNumberOf(saes.length, 'SAE')}`,
      badge: <StatusBadge status={status} />,
    })}
  </Latest>
)

export const LatestExtractions = ({ extractions }: { extractions: Extraction[] | undefined }) => (
  <Latest title="Latest extractions" to="/extractions" items={extractions}>
    {extraction => ({
      link: (
        <TextLink to="/extractions/$id" params={{ id: extraction.id }}>
          {extraction.sae_name}
        </TextLink>
      ),
      note: extraction.dataset_names.join(', '),
      badge: (
        <>
          <BatchBadge position={extraction.batch_position} total={extraction.batch_total} />
          <StageBadge of={extraction} />
        </>
      ),
    })}
  </Latest>
)

export const LatestSaes = ({ saes }: { saes: Sae[] | undefined }) => (
  <Latest title="Latest SAEs" to="/saes" items={saes}>
    {({ name, hook_point, d_sae, created_at }) => ({
      link: (
        <TextLink to="/saes" search={{ search: name }}>
          {name}
        </TextLink>
      ),
      note: `${hook_point}, ${formatCount(d_sae)} latents`,
      badge: <span className="text-xs text-mute">{formatTime(created_at)}</span>,
    })}
  </Latest>
)

/** @param props.items newest first; undefined while they load @param props.children how one looks */
function Latest<T extends { id: string }>(props: {
  title: string
  to: string
  items: readonly T[] | undefined
  children: (item: T) => { link: ReactNode; note: string; badge: ReactNode }
}) {
  const { title, to, items, children } = props
  return (
    <Section title={title} aside={<TextLink to={to}>View all</TextLink>}>
      {items === undefined ? (
        <p className="p-3 text-mute">…</p>
      ) : items.length === 0 ? (
        <Empty>None yet.</Empty>
      ) : (
        <ul className="panel divide-y divide-line">
          {items.slice(0, rowsShown).map(item => {
            const { link, note, badge } = children(item)
            return (
              <li key={item.id} className="flex items-center justify-between gap-3 px-3 py-2">
                <div className="min-w-0">
                  <p className="truncate">{link}</p>
                  <p className="truncate text-xs text-mute">{note}</p>
                </div>
                <div className="flex shrink-0 gap-1.5">{badge}</div>
              </li>
            )
          })}
        </ul>
      )}
    </Section>
  )
}

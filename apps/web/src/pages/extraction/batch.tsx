// The members of a batch in their order, live.
import type { Extraction } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { queries } from '../../api.ts'
import { channelWhileActive } from '../../live/active.ts'
import { useLive } from '../../live/live.ts'
import { BatchBadge, StageBadge } from '../../parts/badge.tsx'
import { TextLink } from '../../parts/button.tsx'
import { Loaded } from '../../parts/loaded.tsx'

export function BatchList({ batchId, current }: { batchId: string; current: string }) {
  const batch = useQuery(queries.batch(batchId))
  return (
    <Loaded query={batch} what="the batch">
      {({ data }) => (
        <ol className="panel divide-y divide-line" aria-label="Members of the batch">
          {data
            .toSorted((a, b) => (a.batch_position ?? 0) - (b.batch_position ?? 0))
            .map(member => (
              <Member key={member.id} member={member} here={member.id === current} />
            ))}
        </ol>
      )}
    </Loaded>
  )
}

function Member({ member, here }: { member: Extraction; here: boolean }) {
  useLive(here ? null : channelWhileActive.extraction(member))
  return (
    <li className="flex flex-wrap items-center gap-2 px-3 py-2" aria-current={here ? 'true' : undefined}>
      <BatchBadge position={member.batch_position} total={member.batch_total} />
      <span className="min-w-0 flex-1 break-words">
        {here ? (
          <span className="font-medium">{member.sae_name}</span>
        ) : (
          <TextLink to="/extractions/$id" params={{ id: member.id }}>
            {member.sae_name}
          </TextLink>
        )}
      </span>
      <StageBadge of={member} />
    </li>
  )
}

// The extractions that were started, in their order, and the SAEs that were skipped, with the reason.
import type { ResponseOf } from '@mistudio/contract'
import { BatchBadge, StageBadge } from '../../parts/badge.tsx'
import { Button, TextLink } from '../../parts/button.tsx'
import { formatNumberOf } from '../../parts/format.ts'

export function Created(props: { result: ResponseOf<'createExtractions'>; onClose: () => void }) {
  const { result, onClose } = props
  const { created, skipped } = result
  return (
    <div className="space-y-4" data-testid="extractions-created">
      <div role="status">
        <p className="font-medium">
          {created.length === 0
            ? 'Nothing was started.'
            : `${formatNumberOf(created.length, 'extraction')} started.`}
        </p>
      </div>
      {created.length > 0 && (
        <ul className="divide-y divide-line rounded-md border border-line" aria-label="Created">
          {created.map(extraction => (
            <li key={extraction.id} className="flex flex-wrap items-center gap-2 px-3 py-2">
              <BatchBadge position={extraction.batch_position} total={extraction.batch_total} />
              <TextLink
                to="/extractions/$id"
                params={{ id: extraction.id }}
                className="min-w-0 flex-1 break-words"
              >
                {extraction.sae_name}
              </TextLink>
              <StageBadge of={extraction} />
            </li>
          ))}
        </ul>
      )}
      {skipped.length > 0 && (
        <div>
          <h3 className="mb-1 font-medium">Skipped</h3>
          <ul className="divide-y divide-line rounded-md border border-line" aria-label="Skipped">
            {skipped.map(({ sae_id, sae_name, reason }) => (
              <li key={sae_id} className="px-3 py-2">
                {sae_name ?? sae_id}
                <span className="block text-xs text-warn">{reason}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
      <div className="flex justify-end">
        <Button look="primary" onClick={onClose}>
          Close
        </Button>
      </div>
    </div>
  )
}

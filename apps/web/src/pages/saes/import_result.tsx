// What an import did, and where to go from there.
import type { ResponseOf } from '@mistudio/contract'
import { Button, LinkButton } from '../../parts/button.tsx'
import { formatNumberOf } from '../../parts/format.ts'

export type ImportResult = ResponseOf<'importSaes'>

export function Imported({ result }: { result: ImportResult }) {
  const { imported, skipped } = result
  return (
    <div role="status" className="rounded-lg bg-accent-soft p-3" data-testid="import-result">
      <p className="font-medium">{formatNumberOf(imported.length, 'SAE')} imported.</p>
      {skipped.map(({ member, reason }) => (
        <p key={`${member} ${reason}`} className="text-soft">
          <span className="font-mono text-xs">{member}</span> skipped: {reason}
        </p>
      ))}
    </div>
  )
}

export function Done({ result, onClose }: { result: ImportResult; onClose: () => void }) {
  return (
    <>
      <Button onClick={onClose}>Close</Button>
      {result.imported.length > 0 && (
        <LinkButton
          to="/extractions/new"
          search={{ sae: result.imported.map(({ id }) => id).join(',') }}
          look="primary"
        >
          Extract features
        </LinkButton>
      )}
    </>
  )
}

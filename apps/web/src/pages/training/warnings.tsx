// Warnings about the SAEs of a training, and what to change.
import type { Training, TrainingWarning } from '@mistudio/contract'
import { TriangleAlert } from 'lucide-react'
import { formatCount } from '../../parts/format.ts'
import { Section } from '../../parts/page.tsx'

export function Warnings({ training }: { training: Training }) {
  const warnings = warningsOf(training)
  if (warnings.length === 0) return null
  return (
    <Section title="Warnings">
      <ul className="space-y-2" data-testid="warnings">
        {warnings.map(({ name, kind, message, advice, step }) => (
          <li key={`${name} ${kind}`} className="flex gap-2.5 rounded-lg bg-warn-soft p-3">
            <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-warn" />
            <div className="min-w-0">
              <p className="font-medium break-words first-letter:uppercase">{message}</p>
              <p className="break-words text-soft first-letter:uppercase">{advice}</p>
              <p className="text-xs break-all text-mute">
                <span className="font-mono">{name}</span>
                {step !== null && ` at step ${formatCount(step)}`}
              </p>
            </div>
          </li>
        ))}
      </ul>
    </Section>
  )
}

type Warning = Omit<TrainingWarning, 'step'> & { name: string; step: number | null }

/** Those the studio found; a failed SAE counts as one more. */
function warningsOf({ saes }: Training): Warning[] {
  return saes.flatMap(({ name, warnings, error_message, status }) => {
    const found: Warning[] = warnings.map(warning => ({ name, ...warning }))
    if (status !== 'failed' || error_message === null) return found
    const advice = 'Use the Retry button in its row to try again.'
    return [{ name, kind: 'failed', message: error_message, advice, step: null }, ...found]
  })
}

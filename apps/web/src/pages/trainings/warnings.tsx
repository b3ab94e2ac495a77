// What a person should know while SAEs train, and what to change.
import type { Training } from '@mistudio/contract'
import { TriangleAlert } from 'lucide-react'
import { formatCount } from '../../parts/format.ts'
import { Section } from '../../parts/page.tsx'

export function Warnings({ training }: { training: Training }) {
  const found = training.saes.flatMap(({ name, warnings, error_message, status }) => [
    ...(status === 'failed' && error_message !== null
      ? [
          {
            name,
            kind: 'failed',
            message: error_message,
            advice: 'Try it again with the button in its row.',
            step: null,
          },
        ]
      : []),
    ...warnings.map(warning => ({ name, ...warning })),
  ])
  if (found.length === 0) return null
  return (
    <Section title="Warnings">
      <ul className="space-y-2" data-testid="warnings">
        {found.map(({ name, kind, message, advice, step }) => (
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

// What went wrong, in full: what it was, where, what was found there and what was expected.
import { ApiError, type Problem } from '@mistudio/contract'
import { TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from './button.tsx'

/** @returns undefined where there is no error */
export function problemOf(error: unknown): Problem | undefined {
  if (error === null || error === undefined) return undefined
  if (error instanceof ApiError) return error.problem
  if (error instanceof TypeError) {
    return {
      type: 'unreachable',
      title: 'The studio is not responding',
      detail: 'It may have been stopped. This page recovers by itself once the studio is back.',
      status: 0,
    }
  }
  return { type: 'unknown', title: error instanceof Error ? error.message : String(error), status: 0 }
}

/** What the studio expected in a field it refused. @param fields the names of that field in a request */
export function refusalOf(problem: Problem | undefined, fields: string[]): string | undefined {
  const at = problem?.field?.replace(/\[\d+\]$/, '')
  return at !== undefined && fields.includes(at) ? (problem?.expected ?? problem?.title) : undefined
}

export function ProblemBox({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const problem = problemOf(error)
  if (problem === undefined) return null
  const { title, detail, file, line, field, found, expected } = problem
  const parts = { file, line, field, found, expected }
  const rows = Object.entries(parts).filter(([, value]) => value !== undefined)
  return (
    <div
      role="alert"
      data-testid="problem"
      className="flex gap-2.5 rounded-lg border border-bad/40 bg-bad-soft p-3 text-ink"
    >
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
      <div className="min-w-0 flex-1 space-y-1.5">
        <p className="font-medium first-letter:uppercase">{title}</p>
        {detail !== undefined && <p className="text-soft">{detail}</p>}
        {rows.length > 0 && (
          <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5">
            {rows.map(([name, value]) => (
              <Row key={name} name={name} value={String(value)} />
            ))}
          </dl>
        )}
        {onRetry !== undefined && (
          <Button small onClick={onRetry}>
            Try again
          </Button>
        )}
      </div>
    </div>
  )
}

const Row = ({ name, value }: { name: string; value: string }): ReactNode => (
  <>
    <dt className="text-soft">{name}</dt>
    <dd className="min-w-0 font-mono text-xs leading-5 break-words" data-testid={`problem-${name}`}>
      {value}
    </dd>
  </>
)

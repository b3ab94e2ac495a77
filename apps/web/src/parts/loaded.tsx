// Anything that has to be fetched first: a note while it loads, the error with a way to retry, then the content.
import type { ReactNode } from 'react'
import { ProblemBox } from './problem.tsx'

/** The part of a query result that is needed here. */
export type Loadable<T> = { data: T | undefined; error: unknown; refetch: () => unknown }

/** @param props.what completes "Loading …" */
export function Loaded<T>(props: {
  query: Loadable<T>
  what: string
  children: (data: T) => ReactNode
}): ReactNode {
  const { query, what, children } = props
  if (query.data !== undefined) return children(query.data)
  if (query.error !== null) return <ProblemBox error={query.error} onRetry={() => query.refetch()} />
  return (
    <p role="status" className="p-6 text-center text-mute">
      Loading {what}…
    </p>
  )
}

/**
 * Several queries as one: its data is there once all of theirs is, and retrying repeats all of them.
 * @example together(models, families).data // [Models, Families] | undefined
 */
export function together<const T extends readonly unknown[]>(
  ...queries: { [K in keyof T]: Loadable<T[K]> }
): Loadable<T> {
  const all: readonly Loadable<unknown>[] = queries
  const complete = all.every(({ data }) => data !== undefined)
  return {
    data: complete ? (all.map(({ data }) => data) as unknown as T) : undefined,
    error: all.find(({ error }) => error !== null)?.error ?? null,
    refetch: () => Promise.all(all.map(({ refetch }) => refetch())),
  }
}

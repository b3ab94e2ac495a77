// A page about one thing: until the thing has loaded, the frame of the page with a note or the error in it.
import { Fragment, type ReactNode } from 'react'
import { type Loadable, Loaded } from './loaded.tsx'
import { Page } from './page.tsx'

/** @param props.kind `Training`: the title until the thing's own name is known */
export function DetailPage<T extends { id: string }>(props: {
  kind: string
  query: Loadable<T>
  /** Links to the pages above. */
  above?: ReactNode[]
  /** The page itself. It starts afresh, its state included, when the address names another thing. */
  children: (thing: T) => ReactNode
}) {
  const { kind, query, above, children } = props
  if (query.data !== undefined) return <Fragment key={query.data.id}>{children(query.data)}</Fragment>
  return (
    <Page title={kind} above={above}>
      <Loaded query={query} what={`the ${kind.toLowerCase()}`}>
        {() => null}
      </Loaded>
    </Page>
  )
}

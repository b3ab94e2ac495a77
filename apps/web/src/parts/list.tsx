// A list of things: while it loads, when that fails, when it is empty, when a filter leaves nothing, and as a table
// whose rows follow their own events. `ListPage` is a page that consists of one.
import type { ReactNode } from 'react'
import { useLive } from '../live/live.ts'
import { type Column, DataTable } from './data_table.tsx'
import { formatCount } from './format.ts'
import { type Loadable, Loaded } from './loaded.tsx'
import { Empty, Page, type PageProps } from './page.tsx'

type Rows<T> = { data: T[]; pagination: { total: number } }

export type ListProps<T> = {
  /** Names the table, and what is being loaded. */
  label: string
  query: Loadable<Rows<T>>
  columns: Column<T>[]
  /** What to say, and to offer, while there are none. */
  empty: { text: ReactNode; action?: ReactNode }
  /** What is chosen of the rows; `keep` where the page chooses and not the studio. */
  filter?: { keep?: (row: T) => boolean; noMatch: ReactNode }
  /** Channel of a row that may still change; null: it will not. */
  channelOf?: (row: T) => string | null
}

export function List<T extends { id: string }>(props: ListProps<T>): ReactNode {
  const { label, query, columns, empty, filter, channelOf } = props
  return (
    <Loaded query={query} what={inSentence(label)}>
      {page => {
        const rows = filter?.keep === undefined ? page.data : page.data.filter(filter.keep)
        if (rows.length === 0) {
          const none = filter === undefined || (filter.keep !== undefined && page.data.length === 0)
          return none ? <Empty action={empty.action}>{empty.text}</Empty> : <Empty>{filter.noMatch}</Empty>
        }
        return (
          <>
            {channelOf && rows.map(row => <Live key={row.id} channel={channelOf(row)} />)}
            <DataTable label={label} columns={columns} rows={rows} keyOf={({ id }) => id} />
            <More page={page} />
          </>
        )
      }}
    </Loaded>
  )
}

/** `SAEs` keeps its capitals. */
const inSentence = (name: string) => (/^[A-Z]{2}/.test(name) ? name : name[0].toLowerCase() + name.slice(1))

/** @param props.tools above the list: a search */
export function ListPage<T extends { id: string }>(
  props: Omit<PageProps, 'title' | 'children'> &
    Omit<ListProps<T>, 'label'> & { title: string; tools?: ReactNode; children?: ReactNode },
) {
  const { title, lead, actions, tools, children, ...list } = props
  return (
    <Page title={title} lead={lead} actions={actions}>
      {tools !== undefined && <div className="mb-3 max-w-sm">{tools}</div>}
      <List label={title} {...list} />
      {children}
    </Page>
  )
}

function Live({ channel }: { channel: string | null }) {
  useLive(channel)
  return null
}

function More({ page }: { page: Rows<unknown> }) {
  const { data, pagination } = page
  if (pagination.total <= data.length) return null
  return (
    <p className="mt-2 text-xs text-mute">
      Showing the newest {formatCount(data.length)} of {formatCount(pagination.total)}.
    </p>
  )
}

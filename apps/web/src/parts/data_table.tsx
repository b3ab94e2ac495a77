// A table. On a narrow screen each row becomes a small card of names and values; the roles are explicit because a table
// loses them when CSS changes its layout.
import type { ReactNode } from 'react'

export type Column<T> = {
  name: string
  cell: (row: T) => ReactNode
  /** Right-aligned: figures. */
  right?: boolean
  /** Names the row: the heading of its card. */
  head?: boolean
  /** May wrap; other columns stay on one line. */
  wraps?: boolean
  /** Hidden on a narrow screen. */
  wideOnly?: boolean
  /** Only screen readers get the column's name: a column of buttons. */
  nameless?: boolean
}

export function DataTable<T>(props: {
  label: string
  columns: Column<T>[]
  rows: readonly T[]
  keyOf: (row: T) => string
}) {
  const { label, columns, rows, keyOf } = props
  const actions = columns.some(({ nameless }) => nameless)
  return (
    <div className="panel overflow-x-auto">
      {/* biome-ignore-start lint/a11y/noRedundantRoles: see above */}
      <table role="table" aria-label={label} className="w-full border-collapse max-md:block">
        <thead role="rowgroup" className="max-md:sr-only">
          <tr role="row">
            {columns.map(({ name, right, nameless }) => (
              <th
                key={name}
                role="columnheader"
                scope="col"
                className={`border-b border-line px-3 py-2 text-xs font-medium whitespace-nowrap text-mute ${right ? 'text-right' : 'text-left'}`}
              >
                {nameless ? <span className="sr-only">{name}</span> : name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup" className="max-md:block">
          {rows.map(row => (
            <tr
              key={keyOf(row)}
              role="row"
              className="border-line not-last:border-b hover:bg-hover/60 max-md:grid max-md:grid-cols-6 max-md:gap-x-3 max-md:gap-y-1.5 max-md:px-3 max-md:py-2.5"
            >
              {columns.map(column => (
                <Cell key={column.name} column={column} row={row} actions={actions} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {/* biome-ignore-end lint/a11y/noRedundantRoles: see above */}
    </div>
  )
}

/** @param props.actions there is a column of buttons; on a card they go beside the heading */
function Cell<T>({ column, row, actions }: { column: Column<T>; row: T; actions: boolean }) {
  const { name, cell, right, head, wraps, wideOnly, nameless } = column
  const place = nameless
    ? 'max-md:col-span-2 max-md:col-start-5 max-md:row-start-1 max-md:justify-self-end'
    : head
      ? `max-md:row-start-1 ${actions ? 'max-md:col-span-4' : 'max-md:col-span-6'}`
      : 'max-md:col-span-3'
  return (
    <td
      // biome-ignore lint/a11y/noRedundantRoles: a cell loses its role when CSS changes its layout
      role="cell"
      className={`px-3 py-2 align-middle max-md:min-w-0 max-md:p-0 ${right ? 'md:text-right' : ''} ${head ? 'font-medium' : ''} ${wraps || head ? 'break-words' : 'md:whitespace-nowrap'} ${wideOnly ? 'max-md:hidden' : ''} ${place}`}
    >
      {!head && !nameless && (
        <span aria-hidden className="block text-xs text-mute md:hidden">
          {name}
        </span>
      )}
      {cell(row)}
    </td>
  )
}

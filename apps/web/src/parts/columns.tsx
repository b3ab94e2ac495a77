// Columns that several lists share, and the button that ends their rows.
import { Trash2 } from 'lucide-react'
import type { ComponentProps, ReactNode } from 'react'
import { type AnyStatus, StatusBadge } from './badge.tsx'
import type { Column } from './data_table.tsx'
import { ConfirmButton } from './dialog.tsx'

/** The status, and what went wrong. */
export const statusColumn: Column<{ status: AnyStatus; error_message: string | null }> = {
  name: 'Status',
  wraps: true,
  cell: ({ status, error_message }) => (
    <>
      <StatusBadge status={status} />
      {error_message !== null && <p className="mt-1 text-xs text-bad">{error_message}</p>}
    </>
  ),
}

/** Buttons, at the end of a row. */
export const actionsColumn = <T,>(cell: (row: T) => ReactNode): Column<T> => ({
  name: 'Actions',
  nameless: true,
  right: true,
  cell: row => <span className="flex justify-end gap-1">{cell(row)}</span>,
})

/** @param props.verb `Delete` or `Remove` @param props.what `dataset`: what kind of thing `name` is */
export function RemoveButton(
  props: { verb: string; what: string; name: string } & Pick<
    ComponentProps<typeof ConfirmButton>,
    'question' | 'onConfirm'
  >,
) {
  const { verb, what, name, ...rest } = props
  return (
    <ConfirmButton
      small
      look="ghost"
      label={<Trash2 aria-hidden />}
      name={`${verb} ${name}`}
      title={`${verb} this ${what}?`}
      confirm={verb}
      {...rest}
    />
  )
}

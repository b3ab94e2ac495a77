// Reading what follows the question mark of an address. Each page says in its own `search.ts` what it keeps there.
import type { SearchSchemaInput } from '@tanstack/react-router'

/** Whatever an address holds; anything a page does not know is dropped. */
export type RawSearch = Record<string, unknown> & SearchSchemaInput

/** The router parses `17` and `true` as values, but a search for them is text. */
export function textIn(value: unknown): string | undefined {
  if (value === undefined || value === '') return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}

export function numberIn(value: unknown): number | undefined {
  const parsed = typeof value === 'number' ? value : Number.parseFloat(String(value))
  return Number.isFinite(parsed) ? parsed : undefined
}

/** Whether the import dialog is open. */
export const importDialogIn = (value: unknown) => (value === 'import' ? ('import' as const) : undefined)

// Pages of rows, and the forms that rows take on the wire.

export type Paging = { limit: number; offset: number }

export function pageOfItems<T>(options: { data: T[]; total: number; query: Paging }) {
  const { data, total, query } = options
  const { limit, offset } = query
  return { data, pagination: { limit, offset, total, has_more: offset + data.length < total } }
}

export const iso = (date: Date): string => date.toISOString()
export const isoOrNull = (date: Date | null): string | null => date?.toISOString() ?? null

/** Items in the order of their ids as asked for. */
export function inOrderOf<T extends { id: string }>(ids: readonly string[], items: readonly T[]): T[] {
  const byId = new Map(items.map(item => [item.id, item]))
  return ids.map(id => byId.get(id)).filter(item => item !== undefined)
}

// Counts texts ignoring case, shown in their most common spelling.
import type { TokenShare } from '@mistudio/contract'
import { shown } from './window_text.ts'

export type Tally = {
  /** Counts the texts of one example, each once however often it occurs. */
  add(texts: Iterable<string>): void
  /** Commonest first, ties by text; at most `limit`, with at least `least` examples (default 1). */
  list(options: { of: number; limit: number; least?: number }): TokenShare[]
}

export const folded = (text: string) => text.toLowerCase()

/** By code units, so that the order is the same everywhere. */
const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

export function createTally(): Tally {
  const entries = new Map<string, { count: number; forms: Map<string, number> }>()
  return {
    add(texts) {
      const seen = new Set<string>()
      for (const text of texts) {
        const key = folded(text)
        let entry = entries.get(key)
        if (entry === undefined) entries.set(key, (entry = { count: 0, forms: new Map() }))
        if (!seen.has(key)) entry.count++
        seen.add(key)
        entry.forms.set(text, (entry.forms.get(text) ?? 0) + 1)
      }
    },
    list({ of, limit, least = 1 }) {
      return [...entries.values()]
        .filter(({ count }) => count >= least)
        .map(({ count, forms }) => ({ text: shown(commonest(forms)), count, share: count / of }))
        .sort((a, b) => b.count - a.count || byText(a.text, b.text))
        .slice(0, limit)
    },
  }
}

function commonest(forms: ReadonlyMap<string, number>): string {
  const [[text]] = [...forms].sort((a, b) => b[1] - a[1] || byText(a[0], b[0]))
  return text
}

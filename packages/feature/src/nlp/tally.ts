// Counting texts without regard to case, shown as they are mostly written.
import type { TokenShare } from '@mistudio/contract'
import { shown } from './window_text.ts'

export type Tally = {
  /** Counts the texts of one example, each once however often it stands there. */
  add(texts: Iterable<string>): void
  /** The commonest first, equals by text; those of at least `least` examples (default 1), `limit` of them. */
  list(options: { of: number; limit: number; least?: number }): TokenShare[]
}

export const folded = (text: string) => text.toLowerCase()

/** By code units: no two places order texts differently. */
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

// For mistyped names: the nearest known ones, for the message.
import { InputError } from './errors.ts'

/** Up to `count` known names with the fewest edits, nearest first. Only those that share something. */
export function nearest(name: string, known: readonly string[], count = 3): string[] {
  return known
    .map(candidate => ({ candidate, distance: distanceOf(name, candidate) }))
    .filter(({ candidate, distance }) => distance < Math.max(candidate.length, name.length) * 0.7)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate)
}

/** An error for a name that does not exist, with the nearest ones. */
export function notFound(options: {
  what: string
  field: string
  name: string
  known: readonly string[]
}): InputError {
  const { what, field, name, known } = options
  const near = nearest(name, known)
  return new InputError({
    message: `there is no ${what} ${name}`,
    field,
    found: name,
    expected: near.length > 0 ? near.join(', ') : known.join(', '),
  })
}

/** Levenshtein distance, halved if one name contains the other. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  const distance = row[b.length]
  return a.includes(b) || b.includes(a) ? distance / 2 : distance
}

// Resuming what a folder holds: compares the settings it was started with and the current ones.
import { InputError } from './errors.ts'
import { isObject } from './plain_object.ts'

/** Refuses to continue a run with other settings. @throws InputError listing every difference */
export function checkSettings(options: {
  file: string
  saved: Record<string, unknown>
  asked: Record<string, unknown>
}): void {
  const { file, saved, asked } = options
  const before = flattened(saved)
  const now = flattened(asked)
  const fields = [...new Set([...before.keys(), ...now.keys()])].filter(
    field => before.get(field) !== now.get(field),
  )
  if (fields.length === 0) return
  const list = (values: Map<string, string>) =>
    fields.map(field => (fields.length === 1 ? '' : `${field} `) + (values.get(field) ?? 'absent')).join('; ')
  throw new InputError({
    message: 'the folder holds a run with other settings',
    file,
    field: fields.join(', '),
    found: list(now),
    expected: list(before),
  })
}

/** Leaves of plain JSON by their path, as text: `members.a.k` → `32`. Lists of numbers and words are leaves. */
function flattened(value: unknown, path = ''): Map<string, string> {
  if (!isObject(value)) return new Map([[path, JSON.stringify(value) ?? 'absent']])
  return new Map(
    Object.entries(value).flatMap(([key, inner]) => [
      ...flattened(inner, path === '' ? key : `${path}.${key}`),
    ]),
  )
}

// What a form takes from the contract: defaults, descriptions and the errors of a value, so that no bound and no default
// is written down twice.
import type { z } from 'zod'

/** The default of every field that has one. */
export function defaultsOf(schema: z.ZodObject): Record<string, unknown> {
  const defaults: Record<string, unknown> = {}
  for (const [field, part] of Object.entries(schema.shape)) {
    const parsed = (part as z.ZodType).safeParse(undefined)
    if (parsed.success && parsed.data !== undefined) defaults[field] = parsed.data
  }
  return defaults
}

export const descriptionOf = (schema: z.ZodObject, field: string): string | undefined =>
  (schema.shape[field] as z.ZodType | undefined)?.description

/** The first message of each field; a nested field is called `hyperparameters.k`. */
export type FieldErrors = Record<string, string>

export function checked<T extends z.ZodType>(
  schema: T,
  value: unknown,
): { ok: true; value: z.output<T> } | { ok: false; errors: FieldErrors } {
  const parsed = schema.safeParse(value)
  if (parsed.success) return { ok: true, value: parsed.data }
  const errors: FieldErrors = {}
  for (const issue of parsed.error.issues) errors[issue.path.join('.')] ??= messageOf(issue)
  return { ok: false, errors }
}

/** What would be accepted, in the words of the page. */
function messageOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int'
        ? 'a whole number'
        : issue.expected === 'number'
          ? 'a number'
          : 'required'
    case 'too_small':
      if (issue.origin === 'array') return `choose at least ${issue.minimum}`
      return `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`
    case 'too_big':
      if (issue.origin === 'array') return `choose at most ${issue.maximum}`
      return `${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`
    default:
      return issue.message
  }
}

/** The text of an input as a number; undefined if empty. Anything else stays text, for the schema to reject. */
export function numberOf(text: string): number | string | undefined {
  const plain = text.replace(/[\s_]/g, '')
  if (plain === '') return undefined
  const value = Number(plain)
  return Number.isNaN(value) ? text : value
}

// Whatever was thrown, as a problem: what a caller can mend names field, found and expected; anything else says
// nothing of our insides.
import type { Problem } from '@mistudio/contract'
import { InputError } from '@mistudio/files'
import type { z } from 'zod'
import { ProblemError } from './problem.ts'

/** Longer values are cut: a problem is for a person. */
const longestShown = 200

export function problemOf(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem
  if (error instanceof InputError) {
    const { message, ...details } = error.details
    return { type: 'invalid', title: message, status: 400, ...details }
  }
  return httpProblem(error) ?? { type: 'internal', title: 'the server failed; its log says why', status: 500 }
}

/**
 * Parses a part of a request.
 * @param options.part what it is called in a problem: `body`, `query`, `path`, `message`
 * @throws ProblemError 400 for the first thing that is wrong
 */
export function parsePart<S extends z.ZodType>(options: {
  schema: S
  value: unknown
  part: string
}): z.output<S> {
  const { schema, value, part } = options
  checkText(value, [], part)
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw zodProblem(result.error.issues[0], value, part)
}

function zodProblem(issue: z.core.$ZodIssue, value: unknown, part: string): ProblemError {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const path = unknown === undefined ? issue.path : [...issue.path, unknown]
  const field = fieldOf(path)
  return new ProblemError('invalid', {
    title:
      unknown === undefined ? `${field || `the ${part}`} cannot be used` : `there is no field ${field} here`,
    ...(field !== '' && { field }),
    found: shown(valueAt(value, path)),
    expected: unknown === undefined ? expectedBy(issue) : 'no such field',
  })
}

/** `hyperparameters.d_sae`, `sae_ids[2]` */
function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((field, key) => {
    if (typeof key === 'number') return `${field}[${key}]`
    return field === '' ? String(key) : `${field}.${String(key)}`
  }, '')
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<PropertyKey, unknown>)[key] : undefined,
    value,
  )
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > longestShown ? `${text.slice(0, longestShown)} …` : text
}

const typeNames: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
}

function expectedBy(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeNames[issue.expected] ?? issue.expected
    case 'invalid_value':
      return issue.values.map(value => JSON.stringify(value)).join(' or ')
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unitOf(issue.origin)}`
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unitOf(issue.origin)}`
    default:
      return issue.message
  }
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters'
  return origin === 'array' || origin === 'set' ? ' items' : ''
}

/** Deeper values are no request of ours, and would end the stack of whoever walks them. */
const deepest = 32

/** Postgres stores neither NUL nor half a surrogate pair. */
function checkText(value: unknown, path: readonly PropertyKey[], part: string): void {
  const refuse = (title: string, expected: string, found?: string) =>
    new ProblemError('invalid', { title, field: fieldOf(path) || part, found, expected })
  if (typeof value === 'string') {
    if (value.isWellFormed() && !value.includes('\0')) return
    throw refuse('this text cannot be stored', 'Unicode text without NUL characters', shown(value))
  }
  if (typeof value !== 'object' || value === null) return
  if (path.length >= deepest) throw refuse('the request is nested too deeply', `at most ${deepest} levels`)
  for (const [key, inner] of Object.entries(value)) {
    checkText(key, path, part)
    checkText(inner, [...path, Array.isArray(value) ? Number(key) : key], part)
  }
}

const requestTitles: Record<string, string> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'this content type cannot be read here',
  FST_ERR_CTP_BODY_TOO_LARGE: 'the request is too large',
  FST_ERR_CTP_INVALID_JSON_BODY: 'the body is not JSON',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'the body is empty',
  FST_REQ_FILE_TOO_LARGE: 'the file is too large',
}
const statusTypes: Record<number, string> = { 404: 'not_found', 413: 'too_large', 415: 'wrong_type' }

/** Errors of the HTTP layer, which know their status. */
function httpProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  const status = Number(error.statusCode)
  if (!(status >= 400 && status < 500)) return undefined
  const code = 'code' in error ? String(error.code) : ''
  return { type: statusTypes[status] ?? 'invalid', title: requestTitles[code] ?? error.message, status }
}

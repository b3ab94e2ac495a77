// Errors that a caller can mend: they become application/problem+json with field, found and expected.
import type { Problem } from '@mistudio/contract'

const statuses = {
  invalid: 400,
  forbidden: 403,
  not_found: 404,
  illegal_state: 409,
  conflict: 409,
  too_large: 413,
  wrong_type: 415,
} as const

export type ProblemType = keyof typeof statuses

export class ProblemError extends Error {
  readonly problem: Problem
  constructor(
    type: ProblemType,
    details: { title: string; detail?: string; field?: string; found?: string; expected?: string },
  ) {
    super(details.title)
    this.problem = { type, status: statuses[type], ...details }
  }
}

/** @param field where the id was given */
export const notFound = (entity: string, id: string, field = 'id') =>
  new ProblemError('not_found', { title: `there is no such ${entity}`, field, found: id })

/** A move that the state machine does not have. */
export const illegalMove = (options: { entity: string; state: string; move: string; allowed: string }) =>
  new ProblemError('illegal_state', {
    title: `${/^[aeio]/.test(options.entity) ? 'an' : 'a'} ${options.entity} that is ${options.state} cannot ${options.move}`,
    field: 'status',
    found: options.state,
    expected: options.allowed,
  })

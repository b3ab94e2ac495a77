// The error of bad input: always names the file, the field, the value found and the value expected, so that a
// person can mend it without reading our code.

export type InputErrorDetails = {
  message: string
  file?: string
  field?: string
  found?: string
  expected?: string
}

/** Input that cannot be used. `message` is complete; the parts are kept apart for JSON output. */
export class InputError extends Error {
  readonly details: InputErrorDetails
  constructor(details: InputErrorDetails) {
    super(compose(details))
    this.name = 'InputError'
    this.details = details
  }
}

function compose({ message, file, field, found, expected }: InputErrorDetails): string {
  const parts = [message]
  if (file !== undefined) parts.push(`file: ${file}`)
  if (field !== undefined) parts.push(`field: ${field}`)
  if (found !== undefined) parts.push(`found: ${found}`)
  if (expected !== undefined) parts.push(`expected: ${expected}`)
  return parts.join('; ')
}

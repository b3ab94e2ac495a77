// The error of bad input: always names the file, the field, the value found and the value expected, so that the
// user can fix it without reading our code.

export type InputErrorDetails = {
  message: string
  file?: string
  /** One-based, as editors count. */
  line?: number
  field?: string
  found?: string
  expected?: string
}

/** Input that cannot be used. `message` is complete; the parts are also kept separately for JSON output. */
export class InputError extends Error {
  readonly details: InputErrorDetails
  constructor(details: InputErrorDetails) {
    super(compose(details))
    this.name = 'InputError'
    this.details = details
  }
}

function compose({ message, file, line, field, found, expected }: InputErrorDetails): string {
  const parts = [message]
  if (file !== undefined) parts.push(`file: ${file}`)
  if (line !== undefined) parts.push(`line: ${line}`)
  if (field !== undefined) parts.push(`field: ${short(field)}`)
  if (found !== undefined) parts.push(`found: ${short(found)}`)
  if (expected !== undefined) parts.push(`expected: ${short(expected)}`)
  return parts.join('; ')
}

/** A hostile file may contain a name of megabytes. */
const short = (text: string): string => (text.length <= 500 ? text : `${text.slice(0, 500)} …`)

// Who may talk to a server that asks for no login: programs of this machine, and pages that this server gave. A page
// from elsewhere has another Origin; a name that its owner points at this machine has another Host.
import type { IncomingMessage } from 'node:http'
import { InputError } from '@mistudio/files'
import { ProblemError } from './problem.ts'

const names = ['localhost', '127.0.0.1', '[::1]']
const loopback = ['127.0.0.1', '::1', 'localhost']

/** @throws InputError for an address that others can reach */
export function checkLoopback(host: string): void {
  if (loopback.includes(host)) return
  throw new InputError({
    message: 'the server has no login yet, so it answers this machine only',
    field: 'host',
    found: host,
    expected: loopback.join(', '),
  })
}

/** What the pages may do: load from here, and nothing from elsewhere. Inline styles are set by components. */
const contentPolicy = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

export const securityHeaders = {
  'content-security-policy': contentPolicy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

/** @throws ProblemError 403 naming the header */
export function checkCaller(request: IncomingMessage): void {
  const { host, origin } = request.headers
  const port = request.socket.localPort
  const own = names.flatMap(name => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`]))
  const refuse = (field: string, found: string, expected: string[]) =>
    new ProblemError('forbidden', {
      title: 'this server answers its own pages and this machine only',
      field,
      found,
      expected: expected.join(' or '),
    })
  if (host === undefined || !own.includes(host.toLowerCase())) throw refuse('Host', host ?? 'nothing', own)
  const pages = own.map(name => `http://${name}`)
  if (origin !== undefined && !pages.includes(origin.toLowerCase())) throw refuse('Origin', origin, pages)
}

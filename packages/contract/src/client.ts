// The typed client, derived from the table of routes: `client.getTraining({ params: { id } })`. Used by web, command
// line and tests; needs nothing but `fetch`.
import type { Problem } from './base.ts'
import { apiPrefix, type Route } from './route.ts'
import { type RequestOf, type ResponseOf, type RouteName, routes } from './routes.ts'

/** A response that is not a success. */
export class ApiError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    const { title, line, field, found, expected } = problem
    const details = [
      line === undefined ? '' : `line ${line}`,
      field === undefined ? '' : `field ${field}`,
      found === undefined ? '' : `found ${found}`,
      expected === undefined ? '' : `expected ${expected}`,
    ].filter(part => part !== '')
    super(details.length === 0 ? title : `${title} (${details.join(', ')})`)
    this.problem = problem
  }
}

/** A query may be omitted if all its fields are optional. */
type Given<N extends RouteName> =
  RequestOf<N> extends { query: infer Q }
    ? Record<never, never> extends Q
      ? Omit<RequestOf<N>, 'query'> & { query?: Q }
      : RequestOf<N>
    : RequestOf<N>
type Arguments<N extends RouteName> =
  Record<never, never> extends Given<N>
    ? [request?: Given<N> & { signal?: AbortSignal }]
    : [request: Given<N> & { signal?: AbortSignal }]

export type Client = {
  [N in Exclude<RouteName, 'uploadDataset'>]: (...args: Arguments<N>) => Promise<ResponseOf<N>>
} & {
  uploadDataset(request: {
    file: Blob
    fileName: string
    fields?: Record<string, string>
    signal?: AbortSignal
  }): Promise<ResponseOf<'uploadDataset'>>
}

type Parts = {
  params?: Record<string, string>
  query?: Record<string, unknown>
  body?: unknown
  signal?: AbortSignal
}

/**
 * @param options.baseUrl default: the page's own origin
 * @example
 * const client = createClient({ baseUrl: 'http://127.0.0.1:8484' })
 * const { data } = await client.listTrainings({ query: { limit: 10 } })
 * const training = await client.getTraining({ params: { id: data[0].id } })
 */
export function createClient(options: { baseUrl?: string; fetch?: typeof fetch } = {}): Client {
  const { baseUrl = '', fetch: send = (...args) => fetch(...args) } = options
  const client: Record<string, unknown> = {}
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    client[name] = async (parts: Parts = {}) => {
      const { params = {}, query = {}, body, signal } = parts
      const response = await send(`${baseUrl}${urlOf(route, params, query)}`, {
        method: route.method,
        signal,
        ...(body !== undefined && {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      })
      return answerOf(response)
    }
  }
  client.uploadDataset = async ({
    file,
    fileName,
    fields = {},
    signal,
  }: Parameters<Client['uploadDataset']>[0]) => {
    const form = new FormData()
    // Fields before the file: the server reads the parts in order and needs them when the file begins.
    for (const [field, value] of Object.entries(fields)) form.append(field, value)
    form.append('file', file, fileName)
    const path = `${baseUrl}${apiPrefix}${routes.uploadDataset.path}`
    return answerOf(await send(path, { method: 'POST', body: form, signal }))
  }
  return client as Client
}

/** Path and query of a request. */
export function urlOf(route: Route, params: Record<string, string>, query: Record<string, unknown>): string {
  const path = route.path.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params[key] ?? ''))
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value))
  return `${apiPrefix}${path}${search.size === 0 ? '' : `?${search}`}`
}

async function answerOf(response: Response): Promise<unknown> {
  if (response.status === 204) return undefined
  const text = await response.text()
  if (response.ok) return JSON.parse(text)
  throw new ApiError(problemOf(response, text))
}

/** A proxy or a crash may return anything. */
function problemOf(response: Response, text: string): Problem {
  try {
    const value = JSON.parse(text) as Problem
    if (typeof value.title === 'string' && typeof value.status === 'number') return value
  } catch {}
  return { type: 'unreadable', title: `the server answered ${response.status}`, status: response.status }
}

// The contract's table of routes on Fastify: every route is parsed and answered by its schemas, and only by them.
import {
  apiPrefix,
  type ParsedRequest,
  type ResponseOf,
  type Route,
  type RouteName,
  routes,
} from '@mistudio/contract'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ProblemError } from '../problem.ts'
import { parsePart, problemOf } from '../problem_of.ts'

type HandlerRequest<N extends RouteName> = ParsedRequest<N> & {
  /** The parts of a multipart body. */
  raw: FastifyRequest
}
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without an answer just ends
type Answer<N extends RouteName> = ResponseOf<N> extends undefined ? void : ResponseOf<N>
export type Handlers = { [N in RouteName]: (request: HandlerRequest<N>) => Promise<Answer<N>> }

/** @param options.only which routes: uploads are read by another parser, in a scope of its own */
export function registerRoutes(options: {
  app: FastifyInstance
  handlers: Handlers
  only: (route: Route) => boolean
}): void {
  const { app, handlers, only } = options
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    if (!only(route)) continue
    // What the schemas parse is what the handler's type says; TypeScript cannot follow that through a loop.
    const handle = handlers[name] as (request: HandlerRequest<RouteName>) => Promise<unknown>
    app.route({
      method: route.method,
      url: apiPrefix + route.path.replace(/\{(\w+)\}/g, ':$1'),
      async handler(raw, reply) {
        checkBody(route, raw)
        const request = {
          raw,
          params: route.params && parsePart({ schema: route.params, value: raw.params, part: 'path' }),
          query: route.query && parsePart({ schema: route.query, value: raw.query, part: 'query' }),
          body: route.body && parsePart({ schema: route.body, value: raw.body, part: 'body' }),
        }
        const answer = await handle(request as HandlerRequest<RouteName>)
        reply.status(route.status ?? (route.response === undefined ? 204 : 200))
        if (route.response === undefined) return reply.send()
        // An answer that is not as the contract says is our fault, and must not reach a client that trusts it.
        const checked = route.response.safeParse(answer)
        if (!checked.success) throw new Error(`${name} answers what it must not: ${checked.error.message}`)
        return reply.type('application/json; charset=utf-8').send(JSON.stringify(checked.data))
      },
    })
  }
}

/** A body where there should be none is refused rather than passed over. */
function checkBody(route: Route, { body }: FastifyRequest): void {
  if (route.body !== undefined || typeof body !== 'object' || body === null) return
  const [field] = Object.keys(body)
  if (field === undefined) return
  throw new ProblemError('invalid', { title: `there is no field ${field} here`, field, expected: 'no body' })
}

export function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const problem = problemOf(error)
  return reply.status(problem.status).type('application/problem+json').send(JSON.stringify(problem))
}

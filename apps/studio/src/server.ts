// The HTTP server: who may ask, what answers, and how errors look. The routes are the contract's (register.ts).
import { readFileSync } from 'node:fs'
import multipart from '@fastify/multipart'
import websocket from '@fastify/websocket'
import { apiPrefix } from '@mistudio/contract'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Services } from './domain/services.ts'
import { snapshotOf } from './domain/snapshot.ts'
import { createSockets } from './events/socket.ts'
import { createStreams } from './events/stream.ts'
import { notFound, ProblemError } from './problem.ts'
import { problemOf } from './problem_of.ts'
import { handlersOf } from './routes/handlers.ts'
import { registerRoutes, sendProblem } from './routes/register.ts'
import { checkCaller, securityHeaders } from './security.ts'
import { builtWeb, registerWebFiles } from './web_files.ts'

/** Of a JSON body. */
const bodyLimitBytes = 1 << 20
/** Of a message on the socket: a channel's name and a number. */
const messageLimitBytes = 4096

const studioVersion: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version

/**
 * @param options.webDir the built web application; default apps/web/dist
 * @param options.pingMilliseconds as of `createSockets`
 */
export async function buildServer(options: {
  services: Services
  webDir?: string
  pingMilliseconds?: number
}): Promise<FastifyInstance> {
  const { services, webDir = builtWeb, pingMilliseconds } = options
  const app = Fastify({
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: true,
    // A URL that cannot be decoded never comes to a route, nor to the hook that ends a refused socket.
    frameworkErrors(error, request, reply) {
      if (request.headers.upgrade !== undefined) reply.raw.on('finish', () => request.raw.socket.destroy())
      sendProblem(reply, error)
    },
  })
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, _request, reply) => {
    const { status } = problemOf(error)
    if (status >= 500) services.onError(error)
    // What the files' plugin says of a folder.
    if (status === 403 && !(error instanceof ProblemError)) return reply.callNotFound()
    return sendProblem(reply, error)
  })

  const source = { ...services, snapshotOf }
  const sockets = createSockets({ source, pingMilliseconds })
  const streams = createStreams(source)
  await app.register(websocket, {
    options: { maxPayload: messageLimitBytes },
    errorHandler: (_error, socket) => socket.terminate(),
    preClose(done) {
      sockets.close()
      streams.close()
      done()
    },
  })
  // After the socket's own hook, which ends the connection of one that is refused.
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders)
    if (request.url.startsWith('/api/')) reply.header('cache-control', 'no-store')
    checkCaller(request.raw)
  })
  app.route({
    method: 'GET',
    url: `${apiPrefix}/events`,
    exposeHeadRoute: false,
    handler: streams.handle,
    wsHandler: sockets.handle,
  })

  const handlers = handlersOf(services)
  registerRoutes({ app, handlers, only: route => route.upload === undefined })
  // Uploads are read by a parser that knows nothing else, and the other routes do not know it.
  await app.register(async scope => {
    scope.removeAllContentTypeParsers()
    await scope.register(multipart)
    registerRoutes({ app: scope, handlers, only: route => route.upload !== undefined })
  })
  app.get(`${apiPrefix}/openapi.json`, async () =>
    (await import('@mistudio/contract/openapi')).openapiDocument(),
  )
  app.get('/health', async () => ({ status: 'ok', version: studioVersion }))

  const isPage = await registerWebFiles({ app, webDir })
  app.setNotFoundHandler((request, reply) => {
    // Not returned: a reply is a promise, and each that waits for it listens for its end.
    if (isPage(request)) void reply.sendFile('index.html')
    else sendProblem(reply, notFound('route', `${request.method} ${request.url}`, 'path'))
  })
  return app
}

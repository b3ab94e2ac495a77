// The web application's files. What has a hash in its name never changes; a page's URL is answered by the one page
// there is, which reads the URL itself.
import { existsSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyRequest } from 'fastify'

export const builtWeb = fileURLToPath(new URL('../../web/dist', import.meta.url))

/** @returns whether there is a page that answers this request */
export async function registerWebFiles(options: {
  app: FastifyInstance
  webDir: string
}): Promise<(request: FastifyRequest) => boolean> {
  const { app, webDir } = options
  if (!existsSync(join(webDir, 'index.html'))) return () => false
  const hashed = join(webDir, 'assets') + sep
  await app.register(fastifyStatic, {
    root: webDir,
    index: false,
    dotfiles: 'ignore',
    preCompressed: true,
    cacheControl: false,
    setHeaders(reply, path) {
      reply.header(
        'cache-control',
        path.startsWith(hashed) ? 'public, max-age=31536000, immutable' : 'no-cache',
      )
    },
  })
  return isPage
}

/** A page's URL has no extension and is asked for as a page: a script that is not there must not be answered by one. */
function isPage({ method, url, headers }: FastifyRequest): boolean {
  const [path] = url.split('?')
  const asked = headers.accept ?? '*/*'
  const get = method === 'GET' || method === 'HEAD'
  return get && !/^\/(api|assets)(\/|$)/.test(path) && !/\.\w+$/.test(path) && /text\/html|\*\/\*/.test(asked)
}

// A fake studio, for looking at the pages and for trying out events in the browser. Plain HTTP and WebSocket with answers
// typed by the contract, and no engine behind them.
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SocketRequest } from '@mistudio/contract'
import { type WebSocket, WebSocketServer } from 'ws'
import { answer, entityOf } from './answers.ts'
import { createLog } from './log.ts'
import { createPlay } from './play.ts'

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}

export type TestServer = {
  url: string
  /** Drops every connection, as a killed server would, and refuses new ones until `up`. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

/** @param options.past turns that have already happened @param options.everyMs between turns; 0: no turns @param options.port default any */
export async function startTestServer(
  options: { past?: number; everyMs?: number; port?: number } = {},
): Promise<TestServer> {
  const { past = 40, everyMs = 0, port = 0 } = options
  const log = createLog()
  const play = createPlay({ log })
  for (let i = past; i > 0; i--) play.step(Date.now() - i * 1500)
  const timer = everyMs > 0 ? setInterval(() => play.step(), everyMs) : undefined

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    if (path.startsWith('/api/')) serveApi(request, response)
    else serveFile(path, response)
  })
  const sockets = new WebSocketServer({ server, path: '/api/v1/events' })
  sockets.on('connection', socket => {
    const channels = new Set<string>()
    const stop = follow(socket, channels)
    socket.on('message', data => {
      const message = JSON.parse(String(data)) as SocketRequest
      if ('unsubscribe' in message) {
        channels.delete(message.unsubscribe)
        return
      }
      const { subscribe: channel, after } = message
      if (after === undefined) {
        const data = entityOf(channel)
        const at = new Date().toISOString()
        socket.send(JSON.stringify({ seq: log.seq(channel), channel, event: 'snapshot', data, at }))
      } else for (const event of log.after(channel, after)) socket.send(JSON.stringify(event))
      channels.add(channel)
    })
    socket.on('close', stop)
  })

  function follow(socket: WebSocket, channels: Set<string>): () => void {
    let on = true
    log.onEvent(event => {
      if (on && channels.has(event.channel)) socket.send(JSON.stringify(event))
    })
    return () => {
      on = false
    }
  }

  const listen = (at: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(at, '127.0.0.1', resolve)
    })
  await listen(port)
  const { port: bound } = server.address() as AddressInfo
  const down = () =>
    new Promise<void>(resolve => {
      for (const socket of sockets.clients) socket.terminate()
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return {
    url: `http://127.0.0.1:${bound}`,
    down,
    up: () => listen(bound),
    async close() {
      clearInterval(timer)
      await down()
    },
  }
}

async function serveApi(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const isJson = request.headers['content-type']?.includes('json') === true
  const { status, body } = answer({
    method: request.method ?? 'GET',
    path: pathname.slice('/api/v1'.length),
    query: Object.fromEntries(searchParams),
    body: isJson ? JSON.parse(Buffer.concat(chunks).toString()) : undefined,
  })
  const type = status >= 400 ? 'application/problem+json' : 'application/json'
  response.writeHead(status, { 'content-type': type })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}

function serveFile(path: string, response: ServerResponse): void {
  const file = join(dist, normalize(path))
  const found = path !== '/' && file.startsWith(dist) && existsSync(file) ? file : join(dist, 'index.html')
  response.writeHead(200, { 'content-type': types[extname(found)] ?? 'application/octet-stream' })
  response.end(readFileSync(found))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startTestServer({ everyMs: 1500, port: Number(process.env.PORT ?? 8485) })
  console.log(server.url)
}

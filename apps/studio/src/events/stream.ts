// The same events as server-sent events, for curl and for whoever has no WebSocket: one channel, `id` is the
// sequence number, and a client that comes back says which it saw last.
import type { ServerResponse } from 'node:http'
import { eventsQuery } from '@mistudio/contract'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { parsePart } from '../problem_of.ts'
import { maxBufferedBytes } from './socket.ts'
import type { EventSource } from './source.ts'

/** A comment now and then keeps the connection and finds out that it is gone. */
const beatMilliseconds = 20_000

const lastEventId = z.strictObject({ 'last-event-id': z.coerce.number().int().min(0).optional() })

export type Streams = {
  handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>
  close(): void
}

export function createStreams({ db, log, snapshotOf, onError }: EventSource): Streams {
  const open = new Set<ServerResponse>()
  return {
    async handle(request, reply) {
      const { channel, after } = parsePart({ schema: eventsQuery, value: request.query, part: 'query' })
      const given = { 'last-event-id': request.headers['last-event-id'] }
      const { 'last-event-id': last = after } = parsePart({
        schema: lastEventId,
        value: given,
        part: 'headers',
      })
      // 404 where there is no such entity.
      await snapshotOf(db, channel)
      reply.hijack()
      const { raw } = reply
      for (const [name, value] of Object.entries(reply.getHeaders())) raw.setHeader(name, value ?? '')
      raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
      raw.flushHeaders()
      open.add(raw)
      const send = (text: string) => {
        if (raw.destroyed) return
        if (raw.writableLength > maxBufferedBytes) raw.destroy()
        else raw.write(text)
      }
      const beat = setInterval(() => send(': still here\n\n'), beatMilliseconds)
      beat.unref()
      const ended = new Promise<void>(resolve => raw.on('close', resolve))
      try {
        const unsubscribe = await log.subscribe({
          channel,
          after: last,
          onMessage: message => send(`id: ${message.seq}\ndata: ${JSON.stringify(message)}\n\n`),
          onError: error => {
            onError(error)
            raw.destroy()
          },
        })
        await ended
        unsubscribe()
      } catch (error) {
        onError(error)
        raw.destroy()
      } finally {
        clearInterval(beat)
        open.delete(raw)
      }
      return reply
    },
    close() {
      for (const raw of open) raw.end()
    },
  }
}

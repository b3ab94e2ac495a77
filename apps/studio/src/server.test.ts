// Who is answered, and how: Host and Origin, headers, files of the web application, requests that are none.
import { mkdirSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { databaseTargets } from '../testing/db/databases.ts'
import { startTestServer, type TestServer, temporaryFolder } from '../testing/server.ts'

const [embedded] = databaseTargets()
const page = '<!doctype html><title>miStudio</title>'
const script = 'console.log("a script that is worth compressing")'
let server: TestServer
let port: string
const web = temporaryFolder()
beforeAll(async () => {
  mkdirSync(join(web, 'assets'))
  writeFileSync(join(web, 'index.html'), page)
  writeFileSync(join(web, 'assets', 'index-abc123.js'), script)
  writeFileSync(join(web, 'assets', 'index-abc123.js.br'), brotliCompressSync(script))
  writeFileSync(join(web, '.env'), 'secret')
  server = await startTestServer(embedded, { webDir: web })
  port = new URL(server.url).port
})
afterAll(async () => {
  await server.close()
  expect(server.faults).toEqual([])
})

type Answer = { status: number; headers: IncomingHttpHeaders; body: string }

/** With any header, unlike fetch, and with the path as it is. */
function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers }, response => {
      response.setEncoding('latin1')
      const { statusCode: status = 0, headers } = response
      text(response).then(body => resolve({ status, headers, body }), reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}

describe('Host and Origin', () => {
  test.each(['localhost:PORT', '127.0.0.1:PORT', '[::1]:PORT', 'LOCALHOST:PORT'])(
    '%s is ours',
    async name => {
      const host = name.replace('PORT', port)
      expect((await get('/health', { host })).status).toBe(200)
      expect((await get('/health', { host, origin: `http://${host}` })).status).toBe(200)
    },
  )

  test.each([
    'evil.example',
    'evil.example:PORT',
    'localhost',
    'localhost:1',
    '127.0.0.1.evil.example:PORT',
    '0.0.0.0:PORT',
  ])('the host %s is refused', async name => {
    const { status, headers, body } = await get('/api/v1/models', { host: name.replace('PORT', port) })
    expect(status).toBe(403)
    expect(headers['content-type']).toContain('application/problem+json')
    expect(JSON.parse(body)).toMatchObject({
      type: 'forbidden',
      field: 'Host',
      found: name.replace('PORT', port),
    })
  })

  test.each([
    'http://evil.example',
    'https://localhost:PORT',
    'http://localhost',
    'http://localhost:1',
    'null',
  ])('the origin %s is refused, for requests and for the socket', async name => {
    const origin = name.replace('PORT', port)
    const host = `localhost:${port}`
    expect((await get('/api/v1/models', { host, origin }, 'POST')).status).toBe(403)
    expect(JSON.parse((await get('/health', { host, origin })).body)).toMatchObject({
      field: 'Origin',
      found: origin,
    })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/events`, { headers: { origin } })
    const error = await new Promise<Error>(resolve => socket.on('error', resolve))
    expect(error.message).toContain('403')
  })

  test('the socket of another host is refused', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/events`, {
      headers: { host: 'evil.example' },
    })
    const error = await new Promise<Error>(resolve => socket.on('error', resolve))
    expect(error.message).toContain('403')
  })

  test.each(['/api/v1/events', '/api/v1/models/%E0%A4%A', '/nowhere'])(
    'a refused socket at %s is let go: the server can end',
    async path => {
      const own = await startTestServer(embedded)
      const socket = new WebSocket(`${own.url.replace('http', 'ws')}${path}`, { headers: { origin: 'null' } })
      await new Promise(resolve => socket.on('error', resolve))
      await own.close()
    },
  )
})

describe('the web application', () => {
  test('a page has one file, whatever its URL; it may load from here alone', async () => {
    for (const path of ['/', '/trainings', '/extractions/extr_1/features?sort=max']) {
      const { status, headers, body } = await get(path, { accept: 'text/html' })
      expect([status, body]).toEqual([200, page])
      expect(headers['cache-control']).toBe('no-cache')
      expect(headers['content-security-policy']).toContain("default-src 'self'")
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
      expect(headers['x-content-type-options']).toBe('nosniff')
    }
  })

  test('assets are kept for ever, compressed where there is a compressed one', async () => {
    const plain = await get('/assets/index-abc123.js')
    expect([plain.status, plain.body]).toEqual([200, script])
    expect(plain.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    expect(plain.headers['content-type']).toContain('javascript')
    const packed = await get('/assets/index-abc123.js', { 'accept-encoding': 'br' })
    expect(packed.headers).toMatchObject({
      'content-encoding': 'br',
      'cache-control': plain.headers['cache-control'],
    })
    expect(packed.headers['content-type']).toContain('javascript')
    expect(brotliDecompressSync(Buffer.from(packed.body, 'latin1')).toString()).toBe(script)
  })

  test.each([
    '/assets/index-old.js',
    '/assets',
    '/assets/',
    '/.env',
    '/missing.png',
    '/../server.ts',
    '/%2e%2e/server.ts',
    '/assets/..%2f..%2fserver.ts',
    '/api/v1/nothing',
    '/api',
  ])('%s is not there', async path => {
    const { status, headers, body } = await get(path, { accept: '*/*' })
    expect([status, headers['content-type']]).toEqual([404, 'application/problem+json; charset=utf-8'])
    expect(JSON.parse(body)).toMatchObject({ type: 'not_found', status: 404 })
  })

  test('a page that is not asked for as one is not given', async () => {
    expect((await get('/trainings', { accept: 'application/json' })).status).toBe(404)
    expect((await get('/trainings', {}, 'POST')).status).toBe(404)
  })
})

describe('requests', () => {
  const post = (body: string, type = 'application/json') =>
    fetch(`${server.url}/api/v1/tokenizations`, { method: 'POST', headers: { 'content-type': type }, body })

  test.each<[string, string, string, number]>([
    ['no JSON', '{"a":', 'application/json', 400],
    ['an empty body', '', 'application/json', 400],
    ['a list', '[]', 'application/json', 400],
    ['a poisoned object', '{"__proto__": {"a": 1}}', 'application/json', 400],
    ['plain text', '{}', 'text/plain', 415],
    ['a form', 'a=1', 'application/x-www-form-urlencoded', 415],
    ['a megabyte and more', `"${'x'.repeat(1 << 20)}"`, 'application/json', 413],
  ])('%s is refused with a problem', async (_, body, type, status) => {
    const response = await post(body, type)
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toContain('application/problem+json')
    expect(await response.json()).toMatchObject({ status, title: expect.any(String) })
  })

  test.each(['/api/v1/models/%E0%A4%A', `/api/v1/models/${'x'.repeat(5000)}`, '/api/v1/models/m_1'])(
    'the URL %# is a problem, not a fault',
    async path => {
      const { status, headers } = await get(path)
      expect([400, 404, 414]).toContain(status)
      expect(headers['content-type']).toContain('application/problem+json')
    },
  )

  test('what is no HTTP ends, and the server lives', async () => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write('hello\r\n\r\n'))
    expect(await text(socket)).toContain('400')
    expect(JSON.parse((await get('/health')).body)).toEqual({ status: 'ok', version: '0.1.0' })
  })

  test('the document of the API describes every route, and answers are not kept', async () => {
    const { body, headers } = await get('/api/v1/openapi.json')
    const document = JSON.parse(body)
    expect(document.openapi).toBe('3.1.0')
    expect(document.paths['/api/v1/trainings/{id}/pause'].post.operationId).toBe('pauseTraining')
    expect(document.paths['/api/v1/events'].get.responses).toHaveProperty('200')
    expect(headers['cache-control']).toBe('no-store')
  })
})

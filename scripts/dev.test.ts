// `npm run dev` as a person starts it: both servers answer, a page may ask the studio through Vite's, one signal ends both.
// And when a program is started again, without a source being touched.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { root } from './bootstrap.js'
import { isSource, keepRunning, readOptions } from './dev.js'

const folder = mkdtempSync(join(tmpdir(), 'mistudio-dev-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let dev: ChildProcess | undefined
const dropSockets: (() => void)[] = []
afterEach(() => {
  for (const drop of dropSockets.splice(0)) drop()
  dev?.kill('SIGKILL')
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const statusOf = (url: string, init?: RequestInit) =>
  fetch(url, init).then(
    ({ status }) => status,
    () => 0,
  )

test('both servers answer, pages reach the studio through theirs, and one signal ends both', async () => {
  const [port, webPort] = [await freePort(), await freePort()]
  const [studio, pages] = [port, webPort].map(own => `http://127.0.0.1:${own}`)
  const dataDir = join(folder, 'data')
  const words = ['--port', `${port}`, '--web-port', `${webPort}`, '--data-dir', dataDir, '--no-demo']
  const child = spawn(process.execPath, [join(root, 'scripts/dev.js'), ...words], { stdio: 'pipe' })
  dev = child
  let told = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (told += chunk))
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  const up = { timeout: 60_000, interval: 100 }
  await expect.poll(() => statusOf(`${studio}/health`), up).toBe(200)
  await expect.poll(() => statusOf(pages), up).toBe(200)
  expect(await (await fetch(`${pages}/src/routes.tsx`)).text()).toContain('createRouter')

  // A browser names the page that asks: this server's own may, others may not.
  const add = (origin: string) =>
    statusOf(`${pages}/api/v1/models`, {
      method: 'POST',
      headers: { origin, 'content-type': 'application/json' },
      body: JSON.stringify({ path: 'demo:model' }),
    })
  expect(await add('http://elsewhere.example')).toBe(403)
  expect(await add(pages)).toBe(201)
  const listen = (origin: string) =>
    new Promise<string>(resolve => {
      const socket = new WebSocket(`${pages.replace('http', 'ws')}/api/v1/events`, { origin })
      socket.on('open', () => socket.send(JSON.stringify({ subscribe: 'jobs/all' })))
      socket.on('message', data => resolve(JSON.parse(String(data)).event))
      socket.on('error', error => resolve(error.message))
      dropSockets.push(() => socket.terminate())
    })
  expect(await listen('http://elsewhere.example')).toContain('403')
  expect(await listen(pages)).toBe('snapshot')

  child.kill('SIGINT')
  expect(await ended, told).toBe(0)
  expect(told).toContain('stopping')
  expect(await Promise.all([statusOf(studio), statusOf(pages)])).toEqual([0, 0])
  expect(readdirSync(dataDir)).not.toContain('studio.lock')
})

test('a program starts again on a change, once it has ended, and after it ended by itself', async () => {
  const file = join(folder, 'starts')
  writeFileSync(file, '')
  // Takes its time to end, as a studio does that saves; ends by itself when it is started for the third time.
  const program = `
    const { appendFileSync, readFileSync } = require('node:fs')
    const file = process.argv[1]
    const third = readFileSync(file, 'utf8').split('+').length === 3
    appendFileSync(file, '+')
    const end = () => { appendFileSync(file, '-'); process.exit(3) }
    process.on('SIGTERM', () => setTimeout(end, 100))
    if (third) end()
    setInterval(() => {}, 1000)`
  const running = keepRunning({ node: process.execPath, args: ['-e', program, file] })
  const written = (text: string) =>
    expect.poll(() => readFileSync(file, 'utf8'), { timeout: 20_000, interval: 20 }).toBe(text)
  await written('+')
  running.change()
  running.change()
  await written('+-+')
  running.change()
  await written('+-+-+-')
  running.change()
  await written('+-+-+-+')
  running.finish()
  running.finish()
  await running.ended
  expect(readFileSync(file, 'utf8')).toBe('+-+-+-+-')
})

test('options that are not its own go to the studio', () => {
  expect(readOptions([])).toEqual({ port: '8484', webPort: '5173', help: false, rest: [] })
  const words = ['--data-dir', 'here', '--port', '90', '--no-demo', '--web-port=91']
  expect(readOptions(words)).toEqual({
    port: '90',
    webPort: '91',
    help: false,
    rest: ['--data-dir', 'here', '--no-demo'],
  })
  expect(readOptions(['-h']).help).toBe(true)
})

test('sources and kernels are watched, tests and pages are not', () => {
  const watched = ['tensor/src/gemm.ts', 'tensor/kernels/kernels.wasm', 'src/jobs/host.ts']
  const others = [
    'tensor/src/gemm.test.ts',
    'model/fixtures/a.json',
    'tensor/testing/a.ts',
    'tensor/src/a.md',
  ]
  expect([...watched, ...others].filter(path => isSource(join(...path.split('/'))))).toEqual(
    watched.map(path => join(...path.split('/'))),
  )
})

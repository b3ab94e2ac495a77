// `mistudio serve` as a process: when it is ready, what it refuses, how it ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createClient } from '@mistudio/contract'
import { afterAll, afterEach, expect, test } from 'vitest'

const command = fileURLToPath(new URL('../../../../bin/mistudio', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mistudio-serve-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let children: ChildProcess[] = []
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children = []
})

function start(...words: string[]) {
  const child = spawn(process.execPath, [command, ...words], {
    env: { ...process.env, DATABASE_URL: '', MISTUDIO_DATA_DIR: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const ended = new Promise<number | null>(resolve => child.on('exit', resolve))
  return { child, ended, stderr: text(child.stderr) }
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) return line
  throw new Error('it said nothing')
}

const free = (dataDir: string) => ['serve', '--no-demo', '--port', '0', '--data-dir', dataDir]

test('says its address when it is ready; others are refused by name; Ctrl-C ends it cleanly', async () => {
  const dataDir = join(folder, 'first')
  const server = start(...free(dataDir), '--json')
  const { url, pid } = JSON.parse(await firstLine(server.child))
  expect(pid).toBe(server.child.pid)
  expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'ok' })
  // No demo was asked for.
  expect((await createClient({ baseUrl: url }).listModels()).data).toEqual([])

  for (const words of [free(dataDir), ['demo', '--data-dir', dataDir]]) {
    const second = start(...words)
    expect(await second.ended).toBe(1)
    expect(await second.stderr).toContain(`${pid}`)
    expect(await second.stderr).toContain(url)
  }
  const taken = start('serve', '--no-demo', '--data-dir', join(folder, 'other'), '--port', new URL(url).port)
  expect(await taken.ended).toBe(1)
  expect(await taken.stderr).toContain(`the port is taken; field: port; found: ${new URL(url).port}`)

  server.child.kill('SIGINT')
  expect(await server.ended).toBe(0)
  expect(await server.stderr).toContain('stopping')
  const again = start(...free(dataDir))
  expect(await firstLine(again.child)).toMatch(/^miStudio is ready: http:\/\/127\.0\.0\.1:\d+$/)
})

test('what it cannot do is refused before anything starts', async () => {
  const outside = start('serve', '--host', '0.0.0.0', '--data-dir', join(folder, 'outside'))
  expect(await outside.ended).toBe(1)
  expect(await outside.stderr).toContain('field: host; found: 0.0.0.0')
  const far = start('serve', '--port', '70000')
  expect(await far.ended).toBe(2)
  expect(await far.stderr).toContain('a whole number from 0 to 65535')
})

// The host's side of a runner: how it starts, what is heard of its end, and which orphan is ended.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tokenizeSpec } from '../../testing/runner_specs.ts'
import { processStart } from '../db/process_start.ts'
import type { RunnerSpec } from '../runners/spec.ts'
import type { Runner } from './runner.ts'
import { endOrphan, startRunner } from './runner_process.ts'

let folder = ''
let children: ChildProcess[] = []
let runners: Runner[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mistudio-process-'))
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const runner of runners) runner.kill()
  await Promise.all(runners.map(({ ended }) => ended))
  children = []
  runners = []
  rmSync(folder, { recursive: true, force: true })
})

/** A tokenization that takes seconds: text enough, an event at each 256 KiB of it. */
function longSpec() {
  const file = join(folder, 'long.jsonl')
  const line = JSON.stringify({ text: 'In the beginning was the word. '.repeat(300) })
  writeFileSync(file, `${line}\n`.repeat(1500))
  const out = join(folder, 'out')
  mkdirSync(out, { recursive: true })
  return tokenizeSpec({ file, out })
}

async function start(options: Partial<Parameters<typeof startRunner>[0]> = {}): Promise<Runner> {
  const runner = await startRunner({ spec: longSpec(), onMessage() {}, ...options })
  runners.push(runner)
  return runner
}

/** Until its first event. */
async function working(onMessage: () => void = () => {}): Promise<Runner> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const runner = await start({
    onMessage() {
      resolve()
      onMessage()
    },
  })
  await promise
  return runner
}

function otherProcess(): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  children.push(child)
  return child
}

const gone = (pid: number) => expect.poll(() => processStart({ pid }), { timeout: 15_000 }).toBeUndefined()

test('a runner does nothing before its process is written down, and nothing at all when that fails', async () => {
  let events = 0
  const told = start({
    onMessage: () => events++,
    async beforeSpec({ pid, startedAt }) {
      expect(startedAt).toContain(processStart({ pid }))
      await new Promise(resolve => setTimeout(resolve, 300))
      expect(events).toBe(0)
    },
  })
  expect((await told).startedAt).not.toBe('')

  let started = 0
  const failing = start({
    async beforeSpec({ pid }) {
      started = pid
      throw new Error('the database is gone')
    },
  })
  await expect(failing).rejects.toThrow('the database is gone')
  await gone(started)
})

test.runIf(process.platform === 'linux')('a runner gets no secrets and stands in no folder', async () => {
  process.env.DATABASE_URL = 'postgres://name:password@host/db'
  try {
    const { pid } = await working()
    const names = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map(entry => entry.split('=')[0])
    expect(names).toContain('PATH')
    expect(names).not.toContain('DATABASE_URL')
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/')
  } finally {
    delete process.env.DATABASE_URL
  }
})

test('after a kill nothing is heard of it but its end', async () => {
  let events = 0
  const runner = await working(() => events++)
  runner.kill()
  const heard = events
  expect(await runner.ended).toEqual({ kind: 'crashed', message: 'it was ended by SIGKILL' })
  expect(events).toBe(heard)
  // A stop that comes too late is no error.
  runner.stop()
})

test('a crash says how it ended and the last that the process wrote', async () => {
  const runner = await working()
  process.kill(runner.pid, 'SIGABRT')
  expect(await runner.ended).toMatchObject({ kind: 'crashed', message: expect.stringContaining('SIGABRT') })

  const broken = await start({ spec: null as unknown as RunnerSpec })
  expect(await broken.ended).toMatchObject({
    kind: 'crashed',
    message: expect.stringMatching(/^it ended with code 1: .*TypeError/s),
  })
})

test('an orphan is ended only if it is still the process that was written down', async () => {
  const { pid, startedAt, ended } = await working()
  const other = otherProcess()
  expect(await endOrphan({ pid: other.pid!, started: startedAt })).toBe(false)
  expect(await endOrphan({ pid, started: `${startedAt}0` })).toBe(false)
  // Where no start is known: nothing is ended by its number alone.
  expect(await endOrphan({ pid, started: '' })).toBe(false)
  expect(processStart({ pid: other.pid! })).toBeDefined()
  expect(processStart({ pid })).toBeDefined()

  expect(await endOrphan({ pid, started: startedAt })).toBe(true)
  expect(processStart({ pid })).toBeUndefined()
  expect((await ended).kind).toBe('crashed')
  expect(await endOrphan({ pid, started: startedAt })).toBe(false)
})

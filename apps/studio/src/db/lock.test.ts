import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { folders } from '../storage.ts'
import { lockDataFolder, readLock } from './lock.ts'
import { processStart } from './process_start.ts'

const made: string[] = []
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mistudio-lock-'))
  made.push(folder)
  return folder
}
const fileOf = (dataDir: string) => join(dataDir, folders.lock)
const contentOf = (dataDir: string) => JSON.parse(readFileSync(fileOf(dataDir), 'utf8'))

/** A lock as if somebody else had left it. */
async function leaveLock(dataDir: string, changes: object): Promise<void> {
  const lock = await lockDataFolder({ dataDir })
  const content = contentOf(dataDir)
  lock.release()
  writeFileSync(fileOf(dataDir), JSON.stringify({ ...content, ...changes }))
}

/** The number of a process that was here and has ended. */
async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await new Promise(resolve => child.once('exit', resolve))
  return child.pid!
}

const program = fileURLToPath(new URL('../../testing/db/locker.ts', import.meta.url))
const race = fileURLToPath(new URL('../../testing/db/lock_race.ts', import.meta.url))

/** A program that locks the folder and keeps it until its standard input closes. */
async function locker(dataDir: string): Promise<{ child: ChildProcess; said: string; end(): Promise<void> }> {
  const child = spawn(process.execPath, [program, dataDir], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  return {
    child,
    said: String(value),
    end() {
      child.stdin.end()
      return exited
    },
  }
}

describe('the lock of a data folder', () => {
  it('refuses a second one, naming process, time and address, until it is released', async () => {
    const dataDir = join(newFolder(), 'not', 'there')
    expect(readLock({ dataDir })).toBeUndefined()
    const lock = await lockDataFolder({ dataDir })
    expect(readLock({ dataDir })).toEqual({ pid: process.pid, url: null })
    lock.setUrl('http://127.0.0.1:8484')
    expect(readLock({ dataDir })).toEqual({ pid: process.pid, url: 'http://127.0.0.1:8484' })
    const { since } = contentOf(dataDir)
    await expect(lockDataFolder({ dataDir })).rejects.toMatchObject({
      name: 'InputError',
      details: {
        file: fileOf(dataDir),
        found: `process ${process.pid} since ${since}, http://127.0.0.1:8484`,
      },
    })
    lock.release()
    expect(readdirSync(dataDir)).toEqual([])
    expect(readLock({ dataDir })).toBeUndefined()
    const next = await lockDataFolder({ dataDir, url: 'http://x' })
    expect(readLock({ dataDir })?.url).toBe('http://x')
    next.release()
  })

  it('refuses another program, and lets it in once the first was killed', async () => {
    const dataDir = newFolder()
    const first = await locker(dataDir)
    expect(first.said).toBe('locked')
    const second = await locker(dataDir)
    expect(second.said).toContain(`process ${first.child.pid}`)
    await second.end()
    first.child.kill('SIGKILL')
    await new Promise(resolve => first.child.once('exit', resolve))
    expect(readLock({ dataDir })).toBeUndefined()
    const third = await locker(dataDir)
    expect(third.said).toBe('locked')
    await third.end()
    expect(readdirSync(dataDir)).toEqual([])
  })

  it('takes over from a process that has ended, and from one whose number another has now', async () => {
    const dataDir = newFolder()
    const cases = [{ pid: await endedProcess() }, { started: '1' }, { pid: 0 }]
    for (const changes of cases) {
      await leaveLock(dataDir, changes)
      expect(readLock({ dataDir })).toBeUndefined()
      const lock = await lockDataFolder({ dataDir })
      expect(contentOf(dataDir)).toMatchObject({ pid: process.pid, started: processStart(process) })
      lock.release()
    }
  })

  it('takes over what is no lock', async () => {
    for (const content of ['', 'null', '{"pid":1', '{"pid":1,"nonce":"../../x"}']) {
      const dataDir = newFolder()
      writeFileSync(fileOf(dataDir), content)
      const lock = await lockDataFolder({ dataDir })
      expect(readLock({ dataDir })?.pid).toBe(process.pid)
      lock.release()
      expect(readdirSync(dataDir)).toEqual([])
    }
  })

  it('believes a holder on another machine as long as its file is touched', async () => {
    const dataDir = newFolder()
    await leaveLock(dataDir, { machine: 'another one', pid: await endedProcess() })
    await expect(lockDataFolder({ dataDir })).rejects.toThrow('another miStudio works on this data folder')
    const longAgo = new Date(Date.now() - 120_000)
    utimesSync(fileOf(dataDir), longAgo, longAgo)
    const lock = await lockDataFolder({ dataDir })
    lock.release()
  })

  it('never removes or rewrites the lock of another', async () => {
    const dataDir = newFolder()
    const lock = await lockDataFolder({ dataDir })
    const theirs = JSON.stringify({ ...contentOf(dataDir), nonce: crypto.randomUUID() })
    writeFileSync(fileOf(dataDir), theirs)
    lock.setUrl('http://mine')
    lock.release()
    expect(readFileSync(fileOf(dataDir), 'utf8')).toBe(theirs)
  })

  it('goes to one of many that take over at once, also where an earlier one was cut short at it', async () => {
    const dead = await endedProcess()
    for (const halfWay of [false, true]) {
      const dataDir = newFolder()
      await leaveLock(dataDir, { pid: dead })
      if (halfWay) {
        const guard = { ...contentOf(dataDir), nonce: crypto.randomUUID() }
        writeFileSync(`${fileOf(dataDir)}.${contentOf(dataDir).nonce}`, JSON.stringify(guard))
      }
      const all = await Promise.all(Array.from({ length: 6 }, () => locker(dataDir)))
      const winners = all.filter(({ said }) => said === 'locked')
      expect(winners).toHaveLength(1)
      expect(readLock({ dataDir })?.pid).toBe(winners[0].child.pid)
      await Promise.all(all.map(({ end }) => end()))
      expect(readdirSync(dataDir)).toEqual([])
    }
  })
})

it('never has two holders, however many take over from the dead at once', async () => {
  const dataDir = newFolder()
  const runs = Array.from({ length: 4 }, async () => {
    const child = spawn(process.execPath, [race, dataDir, '50'], { stdio: ['ignore', 'pipe', 'inherit'] })
    return text(child.stdout)
  })
  expect(await Promise.all(runs)).toEqual(Array(4).fill('0\n'))
})

it('the start of a process tells it from others, and there is none of one that has ended', async () => {
  expect(processStart({ pid: process.pid })).toBe(processStart({ pid: process.pid }))
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const started = processStart({ pid: child.pid! })
  expect(started).toMatch(/./)
  child.stdin.end()
  await new Promise(resolve => child.once('exit', resolve))
  expect(processStart({ pid: child.pid! })).toBeUndefined()
})

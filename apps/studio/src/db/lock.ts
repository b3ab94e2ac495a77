// The lock of a data folder: one studio or command at a time. Two embedded databases on one folder would lose rows
// without an error. The lock is a file with the process in it; one whose process has ended is taken over.
import { randomUUID } from 'node:crypto'
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import { folders } from '../storage.ts'
import { processStart } from './process_start.ts'

type Holder = {
  pid: number
  /** See process_start.ts. */
  started: string
  /** See `machine`. */
  machine: string
  /** ISO 8601. */
  since: string
  /** Where a running server answers. */
  url: string | null
  /** Tells one lock from the next in the same place. */
  nonce: string
}

export type FolderLock = {
  /** For others who want to reach the holder. */
  setUrl(url: string): void
  /** Removes the file if it is still ours. */
  release(): void
}

/** A holder whose process cannot be looked at, in another container, is alive while its file is touched. */
const beatMilliseconds = 5_000
const deadMilliseconds = 60_000

/**
 * @param options.url where the holder answers, if that is known already
 * @throws InputError naming the holder's process, since when, and its address
 */
export async function lockDataFolder(options: { dataDir: string; url?: string }): Promise<FolderLock> {
  const { dataDir, url = null } = options
  mkdirSync(dataDir, { recursive: true })
  const path = join(dataDir, folders.lock)
  const pid = process.pid
  const started = processStart({ pid }) ?? ''
  const since = new Date().toISOString()
  let own: Holder = { pid, started, machine: machine(), since, url, nonce: randomUUID() }
  const other = take(path, own)
  if (other !== undefined) throw inUse(path, other)

  const isOurs = () => read(path)?.nonce === own.nonce
  const beat = setInterval(() => {
    // A disk that fails now and then is no reason to end; one that fails for long makes others think so.
    try {
      if (isOurs()) utimesSync(path, new Date(), new Date())
    } catch {}
  }, beatMilliseconds)
  beat.unref()
  return {
    setUrl(url) {
      own = { ...own, url }
      if (isOurs()) writeWhole(path, own, renameSync)
    },
    release() {
      clearInterval(beat)
      if (isOurs()) rmSync(path, { force: true })
    },
  }
}

/** @returns the process that holds the folder, undefined when nobody alive does */
export function readLock(options: { dataDir: string }): { pid: number; url: string | null } | undefined {
  const path = join(options.dataDir, folders.lock)
  const holder = read(path)
  return holder !== undefined && isAlive(path, holder) ? { pid: holder.pid, url: holder.url } : undefined
}

/**
 * Makes the file, in place of a dead holder's if need be. A dead holder's file may be removed only by whoever holds
 * the lock beside it that is named after its nonce, and only while it still has that nonce: so of two that take over
 * at once neither can remove what the other has just made. That second lock is taken in the same way.
 * @returns the living process that holds it, or that is taking it over; undefined: it is ours
 */
function take(path: string, own: Holder): Holder | undefined {
  for (;;) {
    if (create(path, own)) return undefined
    const holder = read(path)
    if (holder === undefined) continue
    if (isAlive(path, holder)) return holder
    const guard = `${path}.${holder.nonce}`
    const rival = take(guard, { ...own, nonce: randomUUID() })
    if (rival !== undefined) return rival
    try {
      if (read(path)?.nonce === holder.nonce) rmSync(path, { force: true })
    } finally {
      rmSync(guard, { force: true })
    }
  }
}

/** A link appears with its content or not at all, and never over another file. */
function create(path: string, holder: Holder): boolean {
  try {
    writeWhole(path, holder, linkSync)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function writeWhole(path: string, holder: Holder, place: (from: string, to: string) => void): void {
  const temporary = `${path}.${process.pid}-${randomUUID()}.tmp`
  try {
    writeFileSync(temporary, `${JSON.stringify(holder)}\n`, { flag: 'wx', flush: true })
    place(temporary, path)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** A file that is no lock is one that its holder cannot be found by: as good as dead. */
function read(path: string): Holder | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const holder = JSON.parse(text) as Holder
    if (Number.isInteger(holder.pid) && /^[0-9a-f-]{36}$/.test(holder.nonce)) return holder
  } catch {}
  return { pid: 0, started: '', machine: '', since: '', url: null, nonce: 'unreadable' }
}

function isAlive(path: string, holder: Holder): boolean {
  if (holder.pid <= 0) return false
  if (holder.machine === machine()) return processStart({ pid: holder.pid }) === holder.started
  const touched = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return Date.now() - touched < deadMilliseconds
}

/** Where the number of a process means something: this boot of this machine, seen from the same container. */
export function machine(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot} ${statSync('/proc/self/ns/pid').ino}`
  } catch {
    return hostname()
  }
}

const inUse = (path: string, holder: Holder) =>
  new InputError({
    message: 'another miStudio works on this data folder',
    file: path,
    found: `process ${holder.pid} since ${holder.since}, ${holder.url ?? 'without an address'}`,
    expected: 'a folder of its own, or that process ended',
  })

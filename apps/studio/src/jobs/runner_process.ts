// Starting a runner, and ending one that a host before us left behind.
import { spawn } from 'node:child_process'
import { parse } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { machine } from '../db/lock.ts'
import { processStart } from '../db/process_start.ts'
import type { HostMessage, RunnerMessage } from '../runners/spec.ts'
import type { RunnerEnd, StartRunner } from './runner.ts'

const script = fileURLToPath(new URL('../runners/main.ts', import.meta.url))
/** Of what a runner wrote to stderr, the end is kept to say why it crashed. */
const stderrCharacters = 2000
/** What the environment holds beside these is none of a runner's business: it may hold secrets. */
const passed = [
  ...['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'SystemRoot', 'MISTUDIO_CACHE_DIR'],
  // Where Node keeps what it compiled, if someone set it: a runner starts in half the time.
  'NODE_COMPILE_CACHE',
]

/** @throws Error when the process cannot be started */
export const startRunner: StartRunner = async ({ spec, threads, onMessage, beforeSpec }) => {
  const env = Object.fromEntries(
    passed.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
  const child = spawn(process.execPath, [script], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env,
    // Its paths are absolute; in the root it keeps no folder from being moved or unmounted.
    cwd: parse(process.execPath).root,
    // Typed arrays and such are not sent; 'advanced' keeps NaN and undefined apart all the same.
    serialization: 'advanced',
  })
  const { promise: ended, resolve } = Promise.withResolvers<RunnerEnd>()
  let killed = false
  let last: RunnerEnd | undefined
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-stderrCharacters)
  })
  child.on('message', (message: RunnerMessage) => {
    if (killed) return
    switch (message.kind) {
      case 'event':
        return onMessage(message.event)
      case 'result':
        last = { kind: 'result', result: message.result }
        return
      case 'failed':
        if (message.stack !== undefined) process.emitWarning(message.stack, 'RunnerFailure')
        last = { kind: 'failed', message: message.message }
        return
    }
  })
  // A channel that breaks while we write: the end of the process says what there is to say.
  child.on('error', () => {})
  // 'close': after the last message and the last of stderr.
  child.on('close', (code, signal) => {
    const how = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`
    const words = stderr.trim()
    resolve(last ?? { kind: 'crashed', message: words === '' ? how : `${how}: ${words}` })
  })
  await new Promise<void>((started, failed) => {
    child.once('spawn', started)
    child.once('error', failed)
  })
  const tell = (message: HostMessage) => {
    if (child.connected) child.send(message, () => {})
  }
  const kill = () => {
    killed = true
    last = undefined
    child.kill('SIGKILL')
  }
  const identity = { pid: child.pid!, startedAt: startOf(child.pid!) }
  try {
    await beforeSpec?.(identity)
    tell({ kind: 'spec', spec, threads })
  } catch (error) {
    kill()
    throw error
  }
  return { ...identity, stop: () => tell({ kind: 'stop' }), kill, ended }
}

/**
 * When and in which boot a process started; '' where there is none, or where that cannot be told.
 */
function startOf(pid: number): string {
  const start = processStart({ pid }) ?? ''
  return start === '' ? '' : `${machine()} ${start}`
}

/** How long a killed process may take to go. */
const orphanSeconds = 10

/**
 * Ends a runner that its host left behind: only if the process of that number is known to be still the same one.
 * Where that cannot be told nothing is ended: the runner goes by itself when its channel closes.
 * @returns whether there was one
 */
export async function endOrphan(options: { pid: number; started: string }): Promise<boolean> {
  const { pid, started } = options
  const lives = () => started !== '' && startOf(pid) === started
  if (!lives()) return false
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It went by itself: its channel closed.
  }
  for (let waited = 0; lives(); waited += 20) {
    if (waited > orphanSeconds * 1000) throw new Error(`process ${pid} of an earlier host does not end`)
    await sleep(20)
  }
  return true
}

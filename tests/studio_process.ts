// A studio in a process of its own, for tests that kill it, and the processes that it starts.
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Client, createClient } from '@mistudio/contract'

const program = fileURLToPath(new URL('../apps/cli/src/main.ts', import.meta.url))

export type StudioProcess = {
  url: string
  pid: number
  client: Client
  /** Pids of its runners that live now. */
  runners(): number[]
  /** SIGKILL: nothing is said goodbye to. */
  kill(): Promise<void>
  /** SIGINT: as Ctrl-C. */
  end(): Promise<number | null>
}

/** Starts `mistudio serve` and waits for its address. @throws Error with what it printed when it does not come up */
export async function startStudioProcess(options: {
  dataDir: string
  args?: string[]
  env?: NodeJS.ProcessEnv
}): Promise<StudioProcess> {
  const { dataDir, args = ['--no-demo'], env = process.env } = options
  const child = spawn(
    process.execPath,
    [program, 'serve', '--json', '--port', '0', '--data-dir', dataDir, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], env },
  )
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const exited = new Promise<number | null>(resolve => child.once('exit', code => resolve(code)))
  const first = await firstLine(child)
  if (first === undefined) {
    await exited
    throw new Error(`the studio did not start: ${errors}`)
  }
  const { url, pid } = JSON.parse(first) as { url: string; pid: number }
  return {
    url,
    pid,
    client: createClient({ baseUrl: url }),
    runners: () => childrenOf(pid).filter(isRunner),
    async kill() {
      process.kill(pid, 'SIGKILL')
      child.kill('SIGKILL')
      await exited
    },
    async end() {
      child.kill('SIGINT')
      return await exited
    },
  }
}

async function firstLine(child: ChildProcess): Promise<string | undefined> {
  for await (const line of createInterface({ input: child.stdout! })) return line
  return undefined
}

/** Linux. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(other => parentOf(other) === pid)
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

/** Whether the process lives and is a runner of ours: a pid alone may be another one by now. */
export function isRunner(pid: number): boolean {
  try {
    const state = readFileSync(`/proc/${pid}/stat`, 'utf8')
    if (state.slice(state.lastIndexOf(')') + 2).startsWith('Z')) return false
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('runners/main.ts')
  } catch {
    return false
  }
}

/** Looks again and again. @throws Error with the last value when it takes too long */
export async function until<T>(
  look: () => Promise<T> | T,
  wanted: (value: T) => boolean,
  seconds = 120,
): Promise<T> {
  const began = performance.now()
  for (;;) {
    const value = await look()
    if (wanted(value)) return value
    if (performance.now() - began > seconds * 1000) throw new Error(`still ${JSON.stringify(value)}`)
    await new Promise(resolve => setTimeout(resolve, 25))
  }
}

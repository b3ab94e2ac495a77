// Peers run in their own Python process and take turns with us, so that both meet the same machine in the same
// minute. MISTUDIO_PEERS_PYTHON names the interpreter with the packages of oracle/README.md.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type Answer = Record<string, unknown>

export interface Peer {
  /** What the script printed once it was ready. */
  readonly ready: Answer
  /** Sends a line and collects so many JSON lines. */
  ask(line: string, answers?: number): Promise<Answer[]>
  close(): Promise<void>
}

const python = process.env.MISTUDIO_PEERS_PYTHON ?? 'python3'
const script = (name: string) => fileURLToPath(new URL(`../peers/${name}`, import.meta.url))

/** OpenMP's workers spin for a while after a product: let them sleep before the other side is timed. */
export const settle = () => new Promise(resolve => setTimeout(resolve, 400))

/** Starts a script that reads commands on stdin (peers/turns.py). */
export async function openPeer(options: { name: string; args: string[] }): Promise<Peer> {
  const child = spawn(python, [script(options.name), ...options.args], { stdio: ['pipe', 'pipe', 'ignore'] })
  const next = linesOf(child, options.name)
  const ready = await next()
  return {
    ready,
    async ask(line, answers = 1) {
      child.stdin.write(`${line}\n`)
      const result: Answer[] = []
      for (let i = 0; i < answers; i++) result.push(await next())
      return result
    },
    async close() {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.stdin.end('quit\n')
      await ended
    },
  }
}

/** Runs a script to its end. @returns its JSON lines */
export async function runPeer(options: {
  name: string
  args: string[]
  onLine?: (answer: Answer) => void
}): Promise<Answer[]> {
  const child = spawn(python, [script(options.name), ...options.args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const result: Answer[] = []
  const next = linesOf(child, options.name)
  try {
    for (;;) {
      const answer = await next()
      result.push(answer)
      options.onLine?.(answer)
    }
  } catch (error) {
    if (child.exitCode === 0 || result.at(-1)?.done !== undefined) return result
    throw error
  }
}

function linesOf(child: ChildProcess, name: string): () => Promise<Answer> {
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${name} ended early`)
    const answer = JSON.parse(value) as Answer
    if (answer.error !== undefined) throw new Error(`${name}: ${String(answer.error)}`)
    return answer
  }
}

export type Spread = { min: number; median: number; max: number }

export function spread(values: number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { min: sorted[0], median: sorted[Math.floor(sorted.length / 2)], max: sorted.at(-1)! }
}

export const show = ({ min, median, max }: Spread, digits = 0) =>
  `${min.toFixed(digits)} / ${median.toFixed(digits)} / ${max.toFixed(digits)}`

/** A Markdown table. */
export function markdown(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** The machine, for the line above every table. */
export async function machine(): Promise<string> {
  const { cpus, totalmem } = await import('node:os')
  const [cpu] = cpus()
  return `${cpu.model.trim()}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.versions.node}`
}

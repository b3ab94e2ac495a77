// kill -9 at random moments of a training, then a resume: the SAEs must end with the bits of a run that was left
// alone. Used by tests/kills.test.ts (three kills) and bench/kills.ts (twenty).
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { randomStream } from '@mistudio/tensor'
import { listCheckpoints } from '@mistudio/training'

const place = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const mistudioProgram = place('../apps/cli/src/main.ts')
const familiesProgram = place('./train_families.ts')

export type KillReport = {
  kill: number
  atMs: number
  checkpointStep: number | null
  equal: boolean
}

/** A training of the command line: arguments of `sae train` without --out and --resume. */
export const trainCommand =
  (args: readonly string[]): Training =>
  ({ out, resume }) => [
    mistudioProgram,
    ...['sae', 'train', ...args, '--out', out],
    ...(resume ? ['--resume'] : []),
  ]

/** One run with an SAE of every family, over all datasets given (train_families.ts). */
export const trainFamilies =
  (options: {
    model: string
    datasets: readonly string[]
    tokens: number
    checkpointEvery: number
  }): Training =>
  ({ out, resume }) => [familiesProgram, JSON.stringify({ ...options, out, resume })]

/** The words after `node` of a training. */
export type Training = (run: { out: string; resume: boolean }) => string[]

/** Runs `mistudio` with these arguments. */
export const mistudio = (args: readonly string[]) => runNode([mistudioProgram, ...args])

/** `killAfterMs`: SIGKILL unless it ended before. */
export function runNode(
  words: readonly string[],
  killAfterMs?: number,
): Promise<{ code: number | null; killed: boolean; output: string; ms: number }> {
  const began = performance.now()
  const child: ChildProcess = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', data => (output += data))
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, killed: signal === 'SIGKILL', output, ms: performance.now() - began })
    })
  })
}

/** @param options.folder an empty folder to work in */
export async function killLoop(options: {
  train: Training
  folder: string
  kills: number
  seed: number
  onKill?: (report: KillReport) => void
}): Promise<KillReport[]> {
  const { train, folder, kills, seed, onKill } = options
  const whole = join(folder, 'whole')
  const reference = await runNode(train({ out: whole, resume: false }))
  if (reference.code !== 0) throw new Error(`the uninterrupted run failed: ${reference.output}`)
  const wanted = weightsOf(whole)
  if (Object.keys(wanted).length === 0) throw new Error(`the uninterrupted run left no SAE in ${whole}`)
  const draw = randomStream({ seed, purpose: 'moments of kills' })
  const reports: KillReport[] = []
  let spanMs = reference.ms
  for (let attempt = 0; reports.length < kills; attempt++) {
    if (attempt === 3 * kills) throw new Error(`only ${reports.length} of ${attempt} runs could be killed`)
    const kill = reports.length
    const out = join(folder, `killed-${attempt}`)
    // From the start of the process to its end: start-up, capture, steps, checkpoints and saving are all hit.
    const atMs = Math.round(draw() * spanMs)
    const first = await runNode(train({ out, resume: false }), atMs)
    if (!first.killed) {
      // The machine is faster than it was for the uninterrupted run: another moment is drawn.
      spanMs = Math.min(spanMs, first.ms)
      continue
    }
    const checkpointStep = listCheckpoints(out).at(-1) ?? null
    const second = await runNode(train({ out, resume: true }))
    if (second.code !== 0) throw new Error(`the resume after a kill at ${atMs} ms failed: ${second.output}`)
    const equal = JSON.stringify(weightsOf(out)) === JSON.stringify(wanted)
    reports.push({ kill, atMs, checkpointStep, equal })
    onKill?.(reports.at(-1)!)
  }
  return reports
}

/** SHA-256 of each SAE's weights, by name. */
function weightsOf(out: string): Record<string, string> {
  const names = readdirSync(out)
    .filter(name => existsSync(join(out, name, 'sae_weights.safetensors')))
    .sort()
  return Object.fromEntries(
    names.map(name => [
      name,
      createHash('sha256')
        .update(readFileSync(join(out, name, 'sae_weights.safetensors')))
        .digest('hex'),
    ]),
  )
}

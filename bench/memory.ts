// Memory of a training of 1 M and of 8 M tokens: resident size sampled while the command runs, in a process of its
// own. What grows with the tokens would show as a higher later half or a higher peak.
//   node bench/memory.ts [--short 1000000] [--long 8000000]
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mistudio } from '../tests/kill_loop.ts'
import { machine, markdown } from './shared/peer.ts'

const { values } = parseArgs({
  options: { short: { type: 'string', default: '1000000' }, long: { type: 'string', default: '8000000' } },
})
const assets = fileURLToPath(new URL('../assets/demo', import.meta.url))
const program = fileURLToPath(new URL('../apps/cli/src/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mistudio-memory-'))
const sampleMs = 250
const mean = (numbers: number[]) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length
const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0)
try {
  const model = join(assets, 'model')
  const dataset = join(folder, 'dataset')
  const texts = ['scripture', 'dictionary', 'programming', 'databases'].map(name =>
    join(assets, 'datasets', `${name}.jsonl`),
  )
  const made = await mistudio([
    'dataset',
    'tokenize',
    '--model',
    model,
    '--text',
    ...texts,
    '--context',
    '128',
    '--out',
    dataset,
  ])
  if (made.code !== 0) throw new Error(made.output)
  const rows: string[][] = []
  for (const tokens of [values.short, values.long]) {
    const { samples, seconds } = await train({ model, dataset, tokens })
    const [second, third, fourth] = [1, 2, 3].map(quarter =>
      mean(samples.slice((quarter * samples.length) / 4, ((quarter + 1) * samples.length) / 4)),
    )
    rows.push([
      Number(tokens).toLocaleString('en'),
      seconds.toFixed(0),
      ...[second, third, fourth, Math.max(...samples)].map(megabytes),
    ])
  }
  const head = ['tokens', 'seconds', '2nd quarter, mean MB', '3rd', '4th', 'peak MB']
  console.log(
    `${await machine()}; blocks.4.hook_resid_post, 4,096 latents, k 32, checkpoints as by default\n`,
  )
  console.log(markdown(head, rows))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function train({ model, dataset, tokens }: { model: string; dataset: string; tokens: string }) {
  const out = join(folder, `sae-${tokens}`)
  const args = ['--model', model, '--dataset', dataset, '--hook', 'blocks.4.hook_resid_post']
  const size = ['--d-sae', '4096', '--k', '32', '--train-tokens', tokens, '--out', out]
  const began = performance.now()
  const child = spawn(process.execPath, [program, 'sae', 'train', ...args, ...size], { stdio: 'ignore' })
  const samples: number[] = []
  const timer = setInterval(() => {
    const bytes = residentBytes(child.pid!)
    if (bytes > 0) samples.push(bytes)
  }, sampleMs)
  const code = await new Promise(resolve => child.once('exit', resolve))
  clearInterval(timer)
  if (code !== 0) throw new Error(`the training of ${tokens} tokens ended with ${code}`)
  return { samples, seconds: (performance.now() - began) / 1000 }
}

/** Linux: VmRSS of /proc. 0 once the process is gone. */
function residentBytes(pid: number): number {
  try {
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

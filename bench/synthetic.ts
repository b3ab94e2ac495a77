// Ground truth beside SAELens: every family of ours and of SAELens on the same draws in the same order, the same batch
// and steps, marked by one code on the same held-out draws.
//   node bench/synthetic.ts [--tokens 5000000] [--seeds 3] [--only default,zipf,…] [--families topk,…] [--no-peer]
//   node bench/synthetic.ts --search [--tokens …]: which settings suit sae-lens, on data of a seed that is not judged
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openSafetensors } from '@mistudio/files'
import { openWorkerPool } from '@mistudio/tensor'
import {
  createGroundTruth,
  defaultGroundTruth,
  type GroundTruthOptions,
  runSynthetic,
  scoreRecovery,
  syntheticHeldOutTokens,
} from '@mistudio/training'
import { machine, markdown } from './shared/peer.ts'
import { streamSynthetic } from './shared/synthetic_stream.ts'

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '5000000' },
    seeds: { type: 'string', default: '3' },
    only: { type: 'string' },
    families: { type: 'string' },
    'no-peer': { type: 'boolean' },
    'no-ours': { type: 'boolean' },
    search: { type: 'boolean' },
    threads: { type: 'string', default: '2' },
    'data-dir': { type: 'string', default: 'data' },
  },
})
const batchSize = 1024
/** The search's data: not among the seeds that are judged. */
const searchSeed = 100
const tokens = Number(values.tokens)
const steps = Math.ceil(tokens / batchSize)
const dSae = defaultGroundTruth.directions

const variants: { name: string; truth: Partial<GroundTruthOptions> }[] = [
  { name: 'default', truth: {} },
  { name: 'zipf', truth: { frequencies: 'zipf' } },
  { name: 'correlated', truth: { structure: 'correlated' } },
  { name: 'hierarchical', truth: { structure: 'hierarchical' } },
  { name: 'l0-10', truth: { l0: 10 } },
  { name: 'l0-20', truth: { l0: 20 } },
]

type PeerRun = {
  name: string
  family: string
  settings: Record<string, unknown>
  lr: number
  warm_up?: number
  decay_steps?: number
  /** Steps without firing after which a latent is dead: 1,000 in sae-lens. */
  dead_steps?: number
}

/** Our schedule: a short warm-up, the last half of the steps towards 0, dead after 30,000 draws. */
const schedule = {
  warm_up: 200,
  decay_steps: Math.round(steps / 2),
  dead_steps: Math.round(30_000 / batchSize),
}
/** sae-lens's own for toy data (train_toy_sae): constant. */
const itsRate = 3e-4

const jumprelu = { jumprelu_bandwidth: 0.5, jumprelu_init_threshold: 0.1 }
const prefixes = [16, 8, 4, 2, 1].map(part => dSae / part)

const rowsOf = { topk: {}, batchtopk: {}, matryoshka_batchtopk: { matryoshka_widths: prefixes } }

function peerRun(family: string, settings: Record<string, unknown>, lr: number, its = false): PeerRun {
  const { matryoshka_widths: _, jumprelu_bandwidth: __, jumprelu_init_threshold: ___, ...told } = settings
  const text = Object.entries(told).map(([key, value]) => `${key.replace('jumprelu_', '')} ${value}`)
  const name = [family, ...text, `lr ${lr}${its ? ' constant' : ''}`].join(', ')
  return { name, family, settings, lr, ...(its ? {} : schedule) }
}

/** What the search tries for sae-lens: rates and sparsity as were tried for ours, on data of another seed. */
function searchedRuns(l0: number): PeerRun[] {
  const k = Math.round(l0)
  const runs = Object.entries(rowsOf).flatMap(([family, own]) => [
    peerRun(family, { k, ...own }, itsRate, true),
    ...[3e-3, 1e-2].map(lr => peerRun(family, { k, ...own }, lr)),
  ])
  const jump = (settings: Record<string, unknown>, lr: number, its = false) =>
    runs.push(peerRun('jumprelu', { ...jumprelu, ...settings }, lr, its))
  const tanh = { jumprelu_sparsity_loss_mode: 'tanh' }
  jump({ l0_coefficient: 0.2 }, itsRate, true)
  for (const jumprelu_ste_to_input of [false, true]) {
    const ste = { jumprelu_ste_to_input }
    jump({ ...ste, l0_coefficient: 0.2 }, 1e-2)
    jump({ ...ste, l0_coefficient: 0.05, ...tanh }, 1e-2)
    jump({ ...ste, l0_coefficient: 0.2, ...tanh }, 1e-2)
    jump({ ...ste, l0_coefficient: 0.2, ...tanh }, 3e-3)
  }
  jump({ l0_coefficient: 0.1, jumprelu_sparsity_loss_mode: 'quadratic', target_l0: l0 }, 1e-2)
  for (const lr of [3e-3, 1e-2]) {
    runs.push(peerRun('standard', { l1_coefficient: 0.3 }, lr))
    runs.push(peerRun('gated', { l1_coefficient: 1 }, lr))
  }
  return runs
}

/** By family what did best in the search; for jumprelu our settings as well. */
function peerRuns(l0: number): PeerRun[] {
  const k = Math.round(l0)
  const tanh = { ...jumprelu, jumprelu_ste_to_input: true, jumprelu_sparsity_loss_mode: 'tanh' }
  return [
    ...Object.entries(rowsOf).map(([family, own]) => peerRun(family, { k, ...own }, 1e-2)),
    peerRun('jumprelu', { ...tanh, l0_coefficient: 0.05 }, 1e-2),
    peerRun(
      'jumprelu',
      {
        ...tanh,
        l0_coefficient: 0.1,
        jumprelu_bandwidth: 1.5,
        l0_warm_up_steps: steps,
        pre_act_loss_coefficient: 3e-6,
      },
      1e-2,
    ),
    peerRun('standard', { l1_coefficient: 0.3 }, 1e-2),
    peerRun('gated', { l1_coefficient: 1 }, 3e-3),
  ]
}

const ourFamilies = ['topk', 'batchtopk', 'matryoshka', 'jumprelu', 'standard', 'gated', 'p_anneal']
const chosen = values.families?.split(',')
const taken = (family: string) => chosen === undefined || chosen.some(word => family.startsWith(word))

type Line = {
  variant: string
  side: string
  recovered: number
  mmcs: number
  precision: number | null
  fvu: number
  l0: number
  alive: number
}
const machineLine = await machine()
const lines: Line[] = []
const folder = join(values['data-dir'], 'bench-synthetic')
mkdirSync(folder, { recursive: true })
const pool = await openWorkerPool({ count: Number(values.threads) })
const only = values.only?.split(',')
if (values.search) {
  await peers('search', defaultGroundTruth, searchSeed, searchedRuns(defaultGroundTruth.l0))
}
for (const variant of values.search ? [] : variants) {
  if (only !== undefined && !only.includes(variant.name)) continue
  const truth = { ...defaultGroundTruth, ...variant.truth }
  // Seeds where there is a bar; one elsewhere.
  const seeds = variant.name === 'default' ? Number(values.seeds) : 1
  for (let seed = 0; seed < seeds; seed++) {
    if (!values['no-ours']) await ours(variant.name, truth, seed)
    if (!values['no-peer']) await peers(variant.name, truth, seed, peerRuns(truth.l0))
  }
}
await pool.close()
report()

function add(line: Line) {
  lines.push(line)
  console.error(JSON.stringify(line))
}

async function ours(variant: string, truth: GroundTruthOptions, seed: number) {
  const out = join(folder, 'ours')
  rmSync(out, { recursive: true, force: true })
  const members = ourFamilies.filter(taken).map(family => ({ name: family, family, dSae, settings: {} }))
  const results = await runSynthetic({
    pool,
    truth,
    members,
    run: { trainTokens: tokens, batchSize },
    seed,
    out,
  })
  for (const { family, recovered, mmcs, precision, fvu, l0, alive } of results) {
    add({ variant, side: `ours: ${family}`, recovered, mmcs, precision, fvu: fvu!, l0, alive })
  }
}

async function peers(variant: string, options: GroundTruthOptions, seed: number, all: PeerRun[]) {
  const truth = createGroundTruth({ ...options, seed })
  const runs = all.filter(({ family }) => taken(family))
  if (runs.length === 0) return
  const out = join(folder, 'peer')
  const python = process.env.MISTUDIO_PEERS_PYTHON ?? 'python3'
  const script = fileURLToPath(new URL('./peers/saelens_synthetic.py', import.meta.url))
  const flags = {
    d: truth.dIn,
    'd-sae': dSae,
    batch: batchSize,
    steps,
    'held-out': syntheticHeldOutTokens,
    seed,
    threads: values.threads,
    out,
    runs: JSON.stringify(runs),
  }
  const child = spawn(
    python,
    [script, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  )
  const last = (async () => {
    let line = ''
    for await (line of createInterface({ input: child.stdout })) if (process.env.VERBOSE) console.error(line)
    return JSON.parse(line) as { done?: Record<string, { fvu: number; l0: number; alive: number }> }
  })()
  await streamSynthetic({
    pool,
    truth,
    seed,
    batchSize,
    steps,
    heldOutTokens: syntheticHeldOutTokens,
    sink: child.stdin,
  })
  child.stdin.end()
  const { done } = await last
  if (done === undefined) throw new Error('saelens_synthetic.py ended early')
  for (const { name } of runs) {
    const file = openSafetensors(join(out, `${name}.safetensors`))
    const score = scoreRecovery({
      directions: truth.rows,
      latents: file.readF32('W_dec'),
      alive: Uint8Array.from(file.readF32('alive')),
      dIn: truth.dIn,
    })
    file.close()
    const { fvu, l0, alive } = done[name]
    add({ variant, side: `SAELens: ${name}`, ...score, fvu, l0, alive })
  }
}

function report() {
  console.log(`${machineLine}; ${tokens} draws, ${steps} steps of ${batchSize}, ${dSae} latents\n`)
  const groups = Map.groupBy(lines, ({ variant, side }) => `${variant}|${side}`)
  const rows = [...groups.values()].map(group => {
    const mean = (pick: (line: Line) => number | null) =>
      group.reduce((sum, line) => sum + (pick(line) ?? 0), 0) / group.length
    const range = (pick: (line: Line) => number) =>
      group.length === 1 ? '' : ` (${group.map(line => (100 * pick(line)).toFixed(1)).join(', ')})`
    const percent = (value: number) => `${(100 * value).toFixed(1)} %`
    return [
      group[0].variant,
      group[0].side,
      percent(mean(line => line.recovered)) + range(line => line.recovered),
      mean(line => line.mmcs).toFixed(3),
      percent(mean(line => line.precision)),
      mean(line => line.fvu).toFixed(4),
      mean(line => line.l0).toFixed(2),
      percent(mean(line => line.alive)),
    ]
  })
  const head = ['data', 'SAE', 'recovered (seeds)', 'MMCS', 'precision', 'FVU', 'L0', 'alive']
  console.log(markdown(head, rows))
}

// The speed of a TopK training step against SAELens, in turns, two threads each, float32, the same batch and initial
// weights. Prints the ratios, where our step's time goes, and the curve over d_sae.
//   node bench/step.ts [--rounds 5] [--no-peer] [--no-curve]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeSafetensors } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { gemmSpeed } from '../packages/tensor/src/gemm_speed.ts'
import { machine, markdown, openPeer, settle, show, spread } from './shared/peer.ts'
import { type PhaseTimes, phases, type StepShape, stepSetup } from './shared/step_setup.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    'no-peer': { type: 'boolean' },
    'no-curve': { type: 'boolean' },
  },
})
const rounds = Number(values.rounds)
const wide = { dIn: 768, dSae: 24_576, k: 32, batchSize: 4096 }
const cases: { name: string; shape: StepShape; args: string[]; target: number }[] = [
  { name: 'd 768, 24,576 latents', shape: wide, args: [], target: 4 },
  { name: 'd 512, 8,192 latents', shape: { ...wide, dIn: 512, dSae: 8192 }, args: [], target: 3 },
  {
    name: 'd 768, 24,576, 10 % dead (AuxK)',
    shape: { ...wide, deadFraction: 0.1 },
    args: ['--dead', '0.1'],
    target: 3.5,
  },
  { name: 'd 768, 24,576, use_sparse_activations', shape: wide, args: ['--sparse'], target: 2 },
]

const pool = await openWorkerPool({ count: 2 })
const folder = mkdtempSync(join(tmpdir(), 'mistudio-step-'))
try {
  const gflops = await gemmSpeed({ pool })
  console.log(
    `${await machine()}; GEMM ${gflops.toFixed(0)} GFLOP/s on two threads; ${rounds} rounds after one to warm up\n`,
  )
  const rows: string[][] = []
  const parts: string[][] = []
  for (const one of cases) {
    const { ours, peer, phaseTimes, memory, losses } = await compare(one)
    const ratio = peer === undefined ? '–' : (peer.median / ours.median).toFixed(2)
    rows.push([
      one.name,
      show(ours),
      peer === undefined ? '–' : show(peer),
      ratio,
      `≥ ${one.target}`,
      losses,
      memory,
    ])
    parts.push([
      one.name,
      ...phases.map(phase => phaseTimes[phase].toFixed(0)),
      ((2 * one.shape.batchSize * one.shape.dIn * one.shape.dSae) / gflops / 1e6).toFixed(0),
    ])
  }
  console.log(
    markdown(
      [
        'step',
        'ours ms (min / median / max)',
        'SAELens ms',
        'ratio of medians',
        'target',
        'first loss, ours / SAELens',
        'peer peak RSS',
      ],
      rows,
    ),
  )
  console.log(
    `\nWhere our time goes (median step, ms); the last column is the encode product alone at the GEMM speed\n`,
  )
  console.log(markdown(['step', ...phases, 'GEMM'], parts))
  if (!values['no-curve']) await curve(gflops)
} finally {
  await pool.close()
  rmSync(folder, { recursive: true })
}

async function compare({ shape, args }: (typeof cases)[number]) {
  const setup = await stepSetup({ pool, shape })
  const data = join(folder, 'data.safetensors')
  const { dIn, dSae, k, batchSize } = shape
  await writeSafetensors({
    path: data,
    tensors: [
      { name: 'x', dtype: 'F32', shape: [batchSize, dIn], data: setup.x },
      { name: 'W_enc', dtype: 'F32', shape: [dSae, dIn], data: setup.weights.wEnc },
      { name: 'W_dec', dtype: 'F32', shape: [dSae, dIn], data: setup.weights.wDec },
    ],
  })
  const sizes = ['--d-in', dIn, '--d-sae', dSae, '--k', k, '--batch', batchSize, '--threads', 2].map(String)
  const peer = values['no-peer']
    ? undefined
    : await openPeer({ name: 'saelens_step.py', args: [...sizes, '--data', data, ...args] })
  const ours: PhaseTimes[] = []
  const theirs: number[] = []
  let rss = 0
  let losses = '–'
  for (let round = 0; round <= rounds; round++) {
    const times = await setup.step()
    if (round > 0) ours.push(times)
    if (peer === undefined) continue
    const [answer] = await peer.ask('step 1')
    if (round > 0) theirs.push(Number(answer.ms))
    else losses = `${setup.loss().loss.toFixed(3)} / ${Number(answer.loss).toFixed(3)}`
    rss = Math.max(rss, Number(answer.peak_rss_bytes))
    await settle()
  }
  await peer?.close()
  await setup.close()
  const totals = ours.map(total)
  const middle = ours[totals.indexOf(spread(totals).median)]
  const memory = peer === undefined ? '–' : `${(rss / 1e9).toFixed(1)} GB`
  return { ours: spread(totals), peer: peer && spread(theirs), phaseTimes: middle, memory, losses }
}

function total(times: PhaseTimes): number {
  return phases.reduce((sum, phase) => sum + times[phase], 0)
}

/** Cost against width and k: what is not the encode product should follow k, not d_sae. */
async function curve(gflops: number) {
  const rows: string[][] = []
  const shapes = [
    ...[4096, 8192, 16_384, 32_768, 65_536].map(dSae => ({ ...wide, dSae })),
    ...[8, 64, 128].map(k => ({ ...wide, k })),
  ]
  for (const shape of shapes) rows.push(await point(pool, shape, gflops))
  console.log('\nOur step over d_sae and k, d 768, batch 4,096 (ms, median)\n')
  console.log(
    markdown(
      ['d_sae', 'k', 'step', 'encode product at the GEMM speed', 'top-k, decode, gradients', 'Adam'],
      rows,
    ),
  )
}

async function point(pool: WorkerPool, shape: StepShape, gflops: number): Promise<string[]> {
  const setup = await stepSetup({ pool: pool, shape })
  const times: PhaseTimes[] = []
  for (let round = 0; round <= 3; round++) times.push(await setup.step())
  await setup.close()
  const totals = times.slice(1).map(total)
  const middle = times[1 + totals.indexOf(spread(totals).median)]
  const product = (2 * shape.batchSize * shape.dIn * shape.dSae) / gflops / 1e6
  const sparse = middle.decode + middle.gradients + Math.max(0, middle.encode - product)
  return [
    shape.dSae.toLocaleString('en'),
    String(shape.k),
    total(middle).toFixed(0),
    product.toFixed(0),
    sparse.toFixed(0),
    middle.update.toFixed(0),
  ]
}

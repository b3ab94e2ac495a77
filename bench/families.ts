// The speed of one training step of every family beside the peer that has it, in turns, two threads each, float32, the
// same batch and weights: d_in 512, 8,192 latents. Families that select k latents: at least 3 times as fast. Families that
// are dense while they train: at least 1.5 times over a hundred steps at an L0 of at most 200, and 0.8 times at the start,
// where half of the latents fire.
// A turn has several steps, as in training: after the other side's turn the first one meets cold caches.
//   node bench/families.ts [--rounds 5] [--turn 5] [--steps 100] [--only NAME,…]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeSafetensors } from '@mistudio/files'
import { openWorkerPool } from '@mistudio/tensor'
import type { Settings } from '@mistudio/training'
import { familySetup, gaussianRows, startingWeights } from './shared/family_setup.ts'
import { machine, markdown, openPeer, settle, show, spread } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '100' },
    only: { type: 'string' },
    turn: { type: 'string', default: '5' },
    batch: { type: 'string', default: '4096' },
    'd-sae': { type: 'string', default: '8192' },
  },
})
const rounds = Number(values.rounds)
const shape = { dIn: 512, dSae: Number(values['d-sae']), batchSize: Number(values.batch) }
const k = 32
/** Of N(0, ‖x‖²/d): exceeded by 1.8 % of the latents, 150 of 8,192. */
const sparse = 2.1
/** AuxK and scores as SAELens has them; nothing is dead here. */
const topk = {
  k,
  score: 'normed',
  decoder: 'free',
  aux_coefficient: 1,
  aux_relu: false,
  aux_scale_by_dead: true,
}
const free = { decoder: 'free', centred: true }
const prefixes = [16, 8, 4, 2, 1].map(part => shape.dSae / part)

type Case = {
  name: string
  peer: 'saelens' | 'sparsify'
  theirs: string
  theirSettings: Record<string, unknown>
  family: string
  settings: Settings
  /** Where b_enc or θ lies. */
  below: number
  theta?: boolean
  /** Steps of one turn. */
  turn: number
  rounds: number
  target: number
  /** Is the ratio that of a hundred steps together? Else it is that of the median steps. */
  total?: boolean
}
/** A dense family at its start and once it is sparse: a hundred steps in ten turns. */
const dense = (one: Omit<Case, 'below' | 'turn' | 'rounds' | 'target'>): Case[] => [
  { ...one, name: `${one.name}, at the start`, below: 0, turn: 1, rounds, target: 0.8 },
  {
    ...one,
    name: `${one.name}, L0 ≤ 200`,
    below: sparse,
    turn: Number(values.steps) / 10,
    rounds: 10,
    target: 1.5,
    total: true,
  },
]
const selecting = { below: 0, turn: Number(values.turn), rounds, target: 3 }
const cases: Case[] = [
  {
    ...selecting,
    name: 'topk',
    peer: 'saelens',
    theirs: 'topk',
    theirSettings: { k },
    family: 'topk',
    settings: topk,
  },
  {
    ...selecting,
    name: 'batchtopk',
    peer: 'saelens',
    theirs: 'batchtopk',
    theirSettings: { k },
    family: 'batchtopk',
    settings: topk,
  },
  {
    ...selecting,
    name: 'matryoshka',
    peer: 'saelens',
    theirs: 'matryoshka_batchtopk',
    theirSettings: { k, matryoshka_widths: prefixes },
    family: 'matryoshka',
    settings: { ...topk, prefixes },
  },
  {
    ...selecting,
    name: 'transcoder',
    peer: 'sparsify',
    theirs: 'transcoder',
    theirSettings: { k },
    family: 'transcoder',
    settings: { k, aux_coefficient: 0 },
  },
  ...dense({
    name: 'standard',
    peer: 'saelens',
    theirs: 'standard',
    theirSettings: { l1_coefficient: 1 },
    family: 'standard',
    settings: { ...free, sparsity_coefficient: 1 },
  }),
  ...dense({
    name: 'gated',
    peer: 'saelens',
    theirs: 'gated',
    theirSettings: { l1_coefficient: 1 },
    family: 'gated',
    settings: { ...free, sparsity_coefficient: 1, frozen_decoder: false },
  }),
  ...dense({
    name: 'jumprelu',
    peer: 'saelens',
    theirs: 'jumprelu',
    theirSettings: { l0_coefficient: 1, jumprelu_bandwidth: 0.05 },
    family: 'jumprelu',
    settings: { ...free, sparsity_coefficient: 1, bandwidth: 0.05 },
    theta: true,
  }),
]

const only = values.only?.split(',')
const pool = await openWorkerPool({ count: 2 })
const folder = mkdtempSync(join(tmpdir(), 'mistudio-families-'))
try {
  console.log(`${await machine()}; d 512, ${shape.dSae} latents, batch ${shape.batchSize}\n`)
  const rows: string[][] = []
  for (const one of cases) {
    if (only !== undefined && !only.some(word => one.name.startsWith(word))) continue
    rows.push(await compare(one))
    console.error(rows.at(-1)!.join(' | '))
  }
  const head = [
    'step',
    'ours ms (min / median / max)',
    'peer ms',
    'ratio',
    'target',
    'loss, ours / peer',
    'L0, ours / peer',
    'peer peak RSS',
  ]
  console.log(markdown(head, rows))
} finally {
  await pool.close()
  rmSync(folder, { recursive: true })
}

async function compare(one: Case): Promise<string[]> {
  const { dIn, dSae, batchSize } = shape
  const transcodes = one.peer === 'sparsify'
  const x = gaussianRows(batchSize, dIn, 'bench batch')
  const y = transcodes ? gaussianRows(batchSize, dIn, 'bench targets') : undefined
  const plain = startingWeights({ shape, below: one.below, theta: one.theta === true })
  const zeros = () => new Float32Array(dSae)
  const weights = {
    ...plain,
    ...(one.family === 'gated' && { rMag: zeros(), bMag: plain.bEnc.slice() }),
  }
  const data = join(folder, 'data.safetensors')
  const vector = (name: string, values: Float32Array | undefined) =>
    values === undefined ? [] : [{ name, dtype: 'F32' as const, shape: [values.length], data: values }]
  await writeSafetensors({
    path: data,
    tensors: [
      { name: 'x', dtype: 'F32', shape: [batchSize, dIn], data: x },
      ...(y === undefined ? [] : [{ name: 'y', dtype: 'F32' as const, shape: [batchSize, dIn], data: y }]),
      { name: 'W_enc', dtype: 'F32', shape: [dSae, dIn], data: weights.wEnc },
      { name: 'W_dec', dtype: 'F32', shape: [dSae, dIn], data: weights.wDec },
      ...vector('b_enc', weights.bEnc),
      ...vector('b_dec', weights.bDec),
      ...vector('threshold', weights.threshold),
      ...vector('r_mag', weights.rMag),
      ...vector('b_mag', weights.bMag),
    ],
  })
  const peer = await openPeer({
    name: 'family_steps.py',
    args: [
      ...['--peer', one.peer, '--family', one.theirs, '--settings', JSON.stringify(one.theirSettings)],
      ...['--data', data, '--d-in', String(dIn), '--d-sae', String(dSae), '--batch', String(batchSize)],
    ],
  })
  const { family, settings } = one
  const ours = await familySetup({ pool, family, settings, shape, weights, x, y })
  const times: number[] = []
  const theirs: number[] = []
  let losses = ''
  let l0s = ''
  let rss = 0
  for (let round = 0; round <= one.rounds; round++) {
    const warming = round === 0
    for (let step = 0; step < (warming ? 1 : one.turn); step++) {
      const ms = await ours.step()
      if (!warming) times.push(ms)
    }
    const [answer] = await peer.ask(`step ${warming ? 1 : one.turn}`)
    if (!warming) theirs.push(...(answer.ms as number[]))
    const { loss, l0 } = ours.loss()
    if (warming) losses = `${loss.toFixed(2)} / ${Number(answer.loss).toFixed(2)}`
    l0s = `${l0.toFixed(0)} / ${Number(answer.l0).toFixed(0)}`
    rss = Math.max(rss, Number(answer.peak_rss_bytes))
    await settle()
  }
  await peer.close()
  await ours.close()
  const sum = (numbers: number[]) => numbers.reduce((total, value) => total + value, 0)
  const ratio = one.total ? sum(theirs) / sum(times) : spread(theirs).median / spread(times).median
  return [
    one.name,
    show(spread(times)),
    show(spread(theirs)),
    ratio.toFixed(2),
    `≥ ${one.target}`,
    losses,
    l0s,
    `${(rss / 1e9).toFixed(1)} GB`,
  ]
}

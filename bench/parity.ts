// Parity with the peer that has it: every family from the peer's own initial weights on the same batches of the demo
// model's activations, judged by one code (PyTorch) on the same held-out documents. L0 within 2 % both ways, or twice the
// peer's spread over seeds where that is larger, and FVU at most 1.02 times the peer's.
//   node bench/parity.ts [--seeds 3] [--tokens 409600] [--d-sae 2048] [--only NAME,PEER…] [--data-dir DIR]
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openWorkerPool } from '@mistudio/tensor'
import { readWeights, writeFinished } from './shared/finished_file.ts'
import { type ParityCase, parityCases, parityHooks } from './shared/parity_cases.ts'
import { dModel, openParityData } from './shared/parity_data.ts'
import { trainOnFiles } from './shared/parity_ours.ts'
import { machine, markdown, runPeer } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    tokens: { type: 'string', default: '409600' },
    'held-out': { type: 'string', default: '131072' },
    'd-sae': { type: 'string', default: '2048' },
    rate: { type: 'string', default: '1e-3' },
    only: { type: 'string' },
    'data-dir': { type: 'string', default: 'data' },
  },
})
const batchSize = 512
const steps = Math.floor(Number(values.tokens) / batchSize)
const dSae = Number(values['d-sae'])
const learningRate = Number(values.rate)
const deadAfterTokens = batchSize * Math.ceil(steps / 8)
const folder = join(values['data-dir'], 'bench-parity')

type Judged = { fvu: number; l0: number; alive: number }
type Pair = { ours: Judged; peer: Judged }
const results = new Map<ParityCase, Pair[]>()

const wanted = values.only?.split(',')
const cases = parityCases({ dSae, warmUpSteps: Math.round(steps * 0.1) }).filter(
  ({ name, family, peer }) =>
    wanted === undefined || wanted.some(word => [name, family, peer.name].includes(word)),
)
const hooks = parityHooks.filter(hook => cases.some(one => [...one.inputs, one.target].includes(hook)))
mkdirSync(folder, { recursive: true })
const pool = await openWorkerPool({ count: 2 })
const data = await openParityData({ pool, folder, cacheDir: join(values['data-dir'], 'cache'), hooks })
console.log(
  `${await machine()}; ${steps} steps of ${batchSize}, ${dSae} latents, rate ${learningRate}, ${values.seeds} seeds\n`,
)
for (let seed = 0; seed < Number(values.seeds); seed++) {
  const files = await data.train({ seed, batchSize, steps })
  const heldOut = await data.heldOut({ tokens: Number(values['held-out']) })
  for (const one of cases) {
    const pair = await compare({ one, seed, files, heldOut })
    results.set(one, [...(results.get(one) ?? []), pair])
    console.error(
      `seed ${seed} ${one.peer.name} ${one.name}: L0 ${pair.peer.l0.toFixed(2)} / ${pair.ours.l0.toFixed(2)}, FVU ${pair.peer.fvu.toFixed(4)} / ${pair.ours.fvu.toFixed(4)}`,
    )
  }
  for (const path of files.values()) rmSync(path)
}
await data.close()
await pool.close()
report()

async function compare(options: {
  one: ParityCase
  seed: number
  files: Map<string, string>
  heldOut: Map<string, string>
}): Promise<Pair> {
  const { one, seed, files, heldOut } = options
  const { peer, inputs, target } = one
  const init = join(folder, 'init.safetensors')
  const out = { ours: join(folder, 'ours.safetensors'), peer: join(folder, 'peer.safetensors') }
  const pathsOf = (from: Map<string, string>) => ({
    inputs: inputs.map(hook => from.get(hook)!),
    targets: target === undefined ? [] : [from.get(target)!],
  })
  const train = pathsOf(files)
  const warmUp = Math.round(steps * one.warmUp)
  const flags = {
    family: peer.family,
    settings: JSON.stringify(peer.settings),
    'd-in': dModel,
    'd-sae': dSae,
    batch: batchSize,
    steps,
    lr: learningRate,
    'warm-up': warmUp,
    decay: one.decay,
    'dead-after': deadAfterTokens,
    seed,
    init,
    out: out.peer,
  }
  const answers = await runPeer({
    name: peer.script,
    args: [
      ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]),
      ...['--data', ...train.inputs],
      ...(target === undefined ? [] : ['--targets', ...train.targets]),
    ],
  })
  const done = answers.at(-1)!.done as { mean_row_variance?: number }
  const { sae } = await trainOnFiles({
    pool,
    family: one.family,
    settings: {
      learning_rate: learningRate,
      warm_up_steps: warmUp,
      decay_fraction: one.decay,
      dead_after_tokens: deadAfterTokens + (peer.name === 'SAELens' ? batchSize : 0),
      normalisation: 'none',
      // sparsify's loss is the FVU of a batch: ours over the batch's variance, so Adam's ε means that much more to ours.
      ...(done.mean_row_variance !== undefined && { adam_epsilon: 1e-8 * done.mean_row_variance }),
      ...one.settings,
    },
    inputs: inputs.map(hook => ({ hook, path: files.get(hook)! })),
    outputs: target === undefined ? [] : [{ hook: target, path: files.get(target)! }],
    width: dModel,
    dSae,
    batchSize,
    steps,
    weights: readWeights(init),
  })
  await writeFinished(out.ours, sae)
  const judged = pathsOf(heldOut)
  const answer = await runPeer({
    name: 'judge.py',
    args: [
      ...['--d', String(dModel), '--inputs', ...judged.inputs],
      ...(target === undefined ? [] : ['--targets', ...judged.targets]),
      ...['--sae', out.ours, out.peer],
    ],
  })
  const both = answer.at(-1)!.done as Record<string, Judged>
  return { ours: both[out.ours], peer: both[out.peer] }
}

function report() {
  const mean = (numbers: number[]) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length
  const deviation = (numbers: number[]) =>
    numbers.length < 2
      ? 0
      : Math.sqrt(
          numbers.reduce((sum, value) => sum + (value - mean(numbers)) ** 2, 0) / (numbers.length - 1),
        )
  const each = (numbers: number[], digits: number) =>
    `${mean(numbers).toFixed(digits)} ± ${deviation(numbers).toFixed(digits)}`
  const rows = [...results].map(([{ name, peer, bug }, pairs]) => {
    const of = (side: keyof Pair, what: keyof Judged) => pairs.map(pair => pair[side][what])
    const l0 = mean(of('ours', 'l0')) / mean(of('peer', 'l0'))
    const allowed = Math.max(0.02, (2 * deviation(of('peer', 'l0'))) / mean(of('peer', 'l0')))
    const fvu = mean(of('ours', 'fvu')) / mean(of('peer', 'fvu'))
    const good = Math.abs(l0 - 1) <= allowed && fvu <= 1.02
    return [
      `${peer.name}: ${name}${bug === undefined ? '' : bug.mended ? ' (bug mended)' : ' (bug left in)'}`,
      each(of('peer', 'l0'), 2),
      each(of('ours', 'l0'), 2),
      `${l0.toFixed(4)} (1 ± ${allowed.toFixed(3)})`,
      each(of('peer', 'fvu'), 4),
      each(of('ours', 'fvu'), 4),
      `${fvu.toFixed(4)} (≤ 1.02)`,
      `${(100 * mean(of('peer', 'alive'))).toFixed(1)} / ${(100 * mean(of('ours', 'alive'))).toFixed(1)} %`,
      good ? 'yes' : bug !== undefined && !bug.mended ? 'no: the bug' : '**no**',
    ]
  })
  const head = [
    'peer: family',
    'L0 peer',
    'L0 ours',
    'ratio',
    'FVU peer',
    'FVU ours',
    'ratio',
    'alive',
    'parity',
  ]
  console.log(markdown(head, rows))
}

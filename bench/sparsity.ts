// Does an SAE have the L0 it was told? On the demo model: BatchTopK and Matryoshka by their calibrated threshold within 2 % of
// k on held-out documents; JumpReLU's L0 falls with every λ, and its quadratic form comes within 5 % of a target; how far
// thresholds moved.
//   node bench/sparsity.ts [--tokens 1000000] [--d-sae 2048] [--data-dir DIR]
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { loadSae } from '@mistudio/sae'
import type { Settings, TrainMember } from '@mistudio/training'
import { demoModel, trainOnDemo } from './shared/demo_source.ts'
import { machine, markdown } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1000000' },
    'd-sae': { type: 'string', default: '2048' },
    'data-dir': { type: 'string', default: 'data' },
  },
})
const hook = 'blocks.4.hook_resid_post'
const dSae = Number(values['d-sae'])
const shared: Settings = { learning_rate: 1e-3, normalisation: 'expected_average' }
/** An estimator as wide as thresholds have to travel in a short run. */
const jump: Settings = { bandwidth: 0.5, initial_threshold: 0.1 }

type Case = { name: string; family: string; settings: Settings; wanted?: number; allowed?: number }
const lambdas = [0.1, 0.3, 1, 3]
const cases: Case[] = [
  ...[16, 32, 64].map(
    (k): Case => ({
      name: `batchtopk, k ${k}`,
      family: 'batchtopk',
      settings: { k },
      wanted: k,
      allowed: 0.02,
    }),
  ),
  {
    name: 'batchtopk, normed scores, k 32',
    family: 'batchtopk',
    settings: { k: 32, score: 'normed', decoder: 'free' },
    wanted: 32,
    allowed: 0.02,
  },
  { name: 'matryoshka, k 32', family: 'matryoshka', settings: { k: 32 }, wanted: 32, allowed: 0.02 },
  ...lambdas.map(
    (sparsity_coefficient): Case => ({
      name: `jumprelu, λ ${sparsity_coefficient}`,
      family: 'jumprelu',
      settings: { ...jump, sparsity_coefficient },
    }),
  ),
  ...[20, 60].map(
    (target_l0): Case => ({
      name: `jumprelu, target L0 ${target_l0}`,
      family: 'jumprelu',
      settings: { ...jump, sparsity_loss: 'target_l0', target_l0 },
      wanted: target_l0,
      allowed: 0.05,
    }),
  ),
]
const members: TrainMember[] = cases.map(({ name, family, settings }) => ({
  name: name.replaceAll(/[ ,]+/g, '-'),
  family,
  inputs: [hook],
  outputs: [],
  dSae,
  settings: { ...shared, ...settings },
}))

const { out, datasets } = await trainOnDemo({
  members,
  hook,
  trainTokens: Number(values.tokens),
  folder: join(values['data-dir'], 'bench-sparsity'),
  cacheDir: join(values['data-dir'], 'cache'),
})

const saes = members.map(({ name }) => join(out, name))
const limits = ['--max-tokens', '262144', '--ce-tokens', '4096', '--json']
const words = ['sae', 'evaluate', '--sae', ...saes, '--model', demoModel, '--dataset', ...datasets, ...limits]
const command = fileURLToPath(new URL('../bin/mistudio', import.meta.url))
const judged = spawnSync(process.execPath, [command, ...words], { encoding: 'utf8', maxBuffer: 1 << 28 })
if (judged.status !== 0) throw new Error(judged.stderr)
console.log(`${await machine()}; ${values.tokens} tokens, ${dSae} latents, ${hook}`)
const { saes: reports } = JSON.parse(judged.stdout) as {
  saes: { l0: number; fvu: number; tokens: number }[]
}
console.log(`held out: ${reports[0].tokens} tokens\n`)
const l0s: number[] = []
const rows = cases.map(({ name, wanted, allowed, family }, i) => {
  const { l0, fvu } = reports[i]
  l0s.push(l0)
  const off = wanted === undefined ? '' : `${(100 * (l0 / wanted - 1)).toFixed(2)} %`
  const good = wanted === undefined ? '' : Math.abs(l0 / wanted - 1) <= allowed! ? 'yes' : '**no**'
  return [
    name,
    l0.toFixed(2),
    off,
    wanted === undefined ? '' : `${100 * allowed!} %`,
    good,
    fvu.toFixed(4),
    moved(i, family),
  ]
})
console.log(markdown(['SAE', 'held-out L0', 'off', 'allowed', 'in the bar', 'FVU', 'θ, median'], rows))
const byLambda = cases.flatMap(({ name }, i) => (name.includes('λ') ? [l0s[i]] : []))
console.log(
  `\nL0 over λ ${lambdas.join(', ')}: ${byLambda.map(l0 => l0.toFixed(1)).join(', ')}; ${byLambda.every((l0, i) => i === 0 || l0 < byLambda[i - 1]) ? 'falls each time' : '**does not fall**'}`,
)

/** The median threshold of a JumpReLU, and how many are a tenth or more away from it: all were one at the start. */
function moved(i: number, family: string): string {
  if (family !== 'jumprelu') return ''
  const sae = loadSae({ dir: saes[i] })
  // Files hold thresholds in the units of the raw activations.
  const theta = [...sae.weights.threshold!].sort((a, b) => a - b)
  const median = theta[theta.length >> 1]
  const off = theta.filter(value => Math.abs(value / median - 1) > 0.1).length
  return `${median.toFixed(3)} (${((100 * off) / theta.length).toFixed(0)} % differ from it by a tenth)`
}

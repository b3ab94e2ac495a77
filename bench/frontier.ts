// The frontier's demo: three families at three sparsities each on the demo model, nine SAEs in one run, then measured on
// held-out documents by `sae compare`, which draws the chart. Writes docs/frontier.md and docs/frontier.svg.
//   node bench/frontier.ts [--tokens 1000000] [--d-sae 2048] [--data-dir DIR]
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Settings, TrainMember } from '@mistudio/training'
import { demoModel, trainOnDemo } from './shared/demo_source.ts'
import { machine, markdown } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1000000' },
    'd-sae': { type: 'string', default: '2048' },
    'ce-tokens': { type: 'string', default: '32768' },
    docs: { type: 'string', default: fileURLToPath(new URL('../docs', import.meta.url)) },
    'data-dir': { type: 'string', default: 'data' },
  },
})
const hook = 'blocks.4.hook_resid_post'
const trainTokens = Number(values.tokens)
const dSae = Number(values['d-sae'])
/** A short run: all at one rate; JumpReLU's estimator as wide as its thresholds have to travel. */
const shared: Settings = { learning_rate: 1e-3, normalisation: 'expected_average' }
const jump: Settings = { bandwidth: 0.5, initial_threshold: 0.1, decoder: 'unit' }
const swept: { family: string; settings: Settings; key: string; values: number[] }[] = [
  { family: 'topk', settings: {}, key: 'k', values: [16, 32, 64] },
  { family: 'jumprelu', settings: jump, key: 'sparsity_coefficient', values: [0.15, 0.4, 1] },
  { family: 'standard', settings: {}, key: 'sparsity_coefficient', values: [1, 2, 4] },
]
const members: TrainMember[] = swept.flatMap(({ family, settings, key, values: each }) =>
  each.map(value => ({
    name: `${family}-${key}=${value}`,
    family,
    inputs: [hook],
    outputs: [],
    dSae,
    settings: { ...shared, ...settings, [key]: value },
  })),
)

const began = performance.now()
const { out, datasets } = await trainOnDemo({
  members,
  hook,
  trainTokens,
  folder: join(values['data-dir'], 'bench-frontier'),
  cacheDir: join(values['data-dir'], 'cache'),
})
const trained = (performance.now() - began) / 60_000
const svg = join(values.docs, 'frontier.svg')
const args = [
  ...['--sae', ...members.map(({ name }) => join(out, name)), '--model', demoModel, '--dataset', ...datasets],
  ...['--max-tokens', '131072', '--ce-tokens', values['ce-tokens'], '--svg', svg, '--json'],
]
const command = fileURLToPath(new URL('../bin/mistudio', import.meta.url))
const compared = spawnSync(process.execPath, [command, 'sae', 'compare', ...args], {
  encoding: 'utf8',
  maxBuffer: 1 << 28,
})
if (compared.status !== 0) throw new Error(compared.stderr)
const minutes = (performance.now() - began) / 60_000

type Run = {
  name: string
  family: string
  l0: number
  fvu: number
  delta_ce: number
  on_fvu_frontier: boolean
  on_delta_ce_frontier: boolean
}
const { frontier } = JSON.parse(compared.stdout) as { frontier: Run[] }
const mark = (on: boolean) => (on ? ' ●' : '')
const table = markdown(
  ['SAE', 'L0', 'FVU', 'ΔCE, nats'],
  frontier.map(run => [
    run.name.replace('-', ', '),
    run.l0.toFixed(1),
    `${run.fvu.toFixed(4)}${mark(run.on_fvu_frontier)}`,
    `${run.delta_ce.toFixed(4)}${mark(run.on_delta_ce_frontier)}`,
  ]),
)
writeFileSync(
  join(values.docs, 'frontier.md'),
  `# The frontier of a sweep

What sparsity costs: three families at three sparsities each, nine SAEs of ${dSae.toLocaleString('en-US')} latents trained in one run
on ${(trainTokens / 1e6).toLocaleString('en-US')} M activations of the demo model's \`${hook}\` and measured on held-out documents. A run is
on the frontier (●) when no other is at least as sparse and at least as good, and better in at least one of them. Written by
\`node bench/frontier.ts\` in ${minutes.toFixed(1)} minutes (training ${trained.toFixed(1)}) on ${await machine()}.

![L0 against FVU and against ΔCE, a line for each family](frontier.svg)

${table}

These are short runs at one rate, to show the tool, not to rank families: a family's recipe (\`mistudio sae recipes\`) and
more tokens change the order. The same from the command line, a family at a time:

\`\`\`
mistudio sae train --model MODEL --dataset STORE… --hook ${hook} --d-sae ${dSae} --train-tokens ${trainTokens} \\
  --family topk --sweep k=16,32,64 --out runs/topk
mistudio sae compare --sae runs/topk runs/jumprelu runs/standard --model MODEL --dataset STORE… --svg frontier.svg
\`\`\`
`,
)
console.log(`${table}\n\n${minutes.toFixed(1)} minutes, training ${trained.toFixed(1)}`)

// kill -9 at twenty random moments of trainings of the demo, then a resume: bit-equal weights every time. One run with
// an SAE of every family over two datasets, and one of the command line with four TopK SAEs.
//   node bench/kills.ts [--kills 20] [--seed 1]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { familyNames } from '@mistudio/training'
import { killLoop, mistudio, type Training, trainCommand, trainFamilies } from '../tests/kill_loop.ts'
import { machine } from './shared/peer.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
})
const assets = fileURLToPath(new URL('../assets/demo', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mistudio-kills-'))
try {
  console.log(await machine())
  const model = join(assets, 'model')
  const datasets: string[] = []
  for (const name of ['scripture', 'dictionary']) {
    const text = join(assets, 'datasets', `${name}.jsonl`)
    const dataset = join(folder, name)
    const tokenize = ['dataset', 'tokenize', '--model', model, '--text', text, '--context', '128']
    const made = await mistudio([...tokenize, '--out', dataset])
    if (made.code !== 0) throw new Error(made.output)
    datasets.push(dataset)
  }
  const families = trainFamilies({ model, datasets, tokens: 128 * 150, checkpointEvery: 10 })
  await report(`one run with ${familyNames.join(', ')}`, families)
  const command = trainCommand([
    ...['--model', model, '--dataset', ...datasets],
    ...['--hook', 'blocks.2.hook_resid_post,blocks.2.hook_mlp_out', '--sweep', 'k=16,32', '--d-sae', '2048'],
    ...['--train-tokens', '200000', '--checkpoint-every', '10'],
  ])
  await report('sae train, four TopK SAEs', command)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function report(title: string, train: Training): Promise<void> {
  console.log(title)
  const reports = await killLoop({
    train,
    folder: mkdtempSync(join(folder, 'run-')),
    kills: Number(values.kills),
    seed: Number(values.seed),
    onKill: one => console.log(JSON.stringify(one)),
  })
  const equal = reports.filter(one => one.equal).length
  console.log(`${equal} of ${reports.length} bit-equal`)
  if (equal < reports.length) process.exitCode = 1
}

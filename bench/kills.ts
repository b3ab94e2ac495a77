// kill -9 at twenty random moments of a training of the demo, then --resume: bit-equal weights every time.
//   node bench/kills.ts [--kills 20] [--seed 1]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { killLoop, mistudio } from '../tests/kill_loop.ts'
import { machine } from './peer.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
})
const assets = fileURLToPath(new URL('../assets/demo', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mistudio-kills-'))
try {
  console.log(await machine())
  const model = join(assets, 'model')
  const dataset = join(folder, 'dataset')
  const text = join(assets, 'datasets', 'scripture.jsonl')
  const made = await mistudio([
    'dataset',
    'tokenize',
    '--model',
    model,
    '--text',
    text,
    '--context',
    '128',
    '--out',
    dataset,
  ])
  if (made.code !== 0) throw new Error(made.output)
  const hooks = 'blocks.2.hook_resid_post,blocks.2.hook_mlp_out'
  const train = [
    '--model',
    model,
    '--dataset',
    dataset,
    '--hook',
    hooks,
    '--d-sae',
    '2048',
    '--k',
    '32',
    '--train-tokens',
    '200000',
    '--checkpoint-every',
    '10',
  ]
  const reports = await killLoop({
    train,
    folder,
    kills: Number(values.kills),
    seed: Number(values.seed),
    onKill: report => console.log(JSON.stringify(report)),
  })
  const equal = reports.filter(report => report.equal).length
  console.log(`${equal} of ${reports.length} bit-equal`)
  process.exitCode = equal === reports.length ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

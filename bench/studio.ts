// What the studio costs: a training in it against the same training from the command line, in turns; how soon it is
// ready on a folder that has a project. The JavaScript of a first page: apps/web/testing/first_load.ts.
//   node bench/studio.ts [--rounds 3] [--tokens 400000] [--data-dir DIR]      (DIR: an existing studio's folder)
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ensureWeb } from '../scripts/web.js'
import { mistudio } from '../tests/kill_loop.ts'
import { recordedEvents } from '../tests/studio_kill_loop.ts'
import { startStudioProcess, until } from '../tests/studio_process.ts'
import { machine, markdown, settle, show, spread } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    tokens: { type: 'string', default: '400000' },
    'data-dir': { type: 'string' },
  },
})
const tokens = Number(values.tokens)
const assets = fileURLToPath(new URL('../assets/demo', import.meta.url))
const program = fileURLToPath(new URL('../apps/cli/src/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mistudio-bench-studio-'))
const model = join(assets, 'model')
const dataset = join(folder, 'dataset')
const hook = 'blocks.4.hook_resid_post'
/** A point of a training: tokens done and when, in seconds. */
type Point = { tokens: number; at: number }

try {
  await ensureWeb({ node: process.execPath })
  console.log(`${await machine()}\n`)
  const text = join(assets, 'datasets', 'scripture.jsonl')
  const tokenize = [
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
  ]
  const made = await mistudio(tokenize)
  if (made.code !== 0) throw new Error(made.output)

  const studio = await startStudioProcess({ dataDir: join(folder, 'studio') })
  const { client } = studio
  const { id: model_id } = await client.createModel({ body: { path: model } })
  const uploaded = await client.uploadDataset({
    file: new Blob([readFileSync(text)]),
    fileName: 'scripture.jsonl',
  })
  const body = {
    model_id,
    dataset_ids: [uploaded.id],
    layers: [4],
    hook_types: ['resid_post' as const],
    hyperparameters: { d_sae: 4096, k: 32, train_tokens: tokens, normalisation: 'none' as const },
  }
  const alone: number[] = []
  const inStudio: number[] = []
  for (let round = 0; round < Number(values.rounds); round++) {
    alone.push(await trainAlone(round))
    await settle()
    const { id } = await client.createTraining({ body })
    // A page that watches, as somebody would.
    const events = recordedEvents(studio.url, `training/${id}`, ({ event }) => event === 'training:completed')
    await until(
      () => client.getTraining({ params: { id } }),
      ({ status }) => ['completed', 'failed'].includes(status),
      600,
    )
    inStudio.push(
      rateOf(
        (await events).flatMap(event =>
          event.event === 'training:progress'
            ? [{ tokens: event.data.tokens, at: Date.parse(event.at) / 1000 }]
            : [],
        ),
      ),
    )
    await settle()
  }
  await studio.end()
  const [ours, theirs] = [spread(inStudio), spread(alone)]
  const rows = [
    ['mistudio sae train', show(theirs)],
    ['the same training in the studio, watched by one client', show(ours)],
    ['cost, of the medians (< 5 %)', `${(100 * (1 - ours.median / theirs.median)).toFixed(1)} %`],
  ]
  console.log(markdown(['', 'tokens/s, min / median / max'], rows))

  const dataDir = values['data-dir'] ?? join(folder, 'studio')
  const ready: number[] = []
  for (let round = 0; round < 5; round++) {
    const began = performance.now()
    const again = await startStudioProcess({ dataDir })
    ready.push((performance.now() - began) / 1000)
    await again.end()
  }
  console.log(`\nready on an existing folder (< 3): ${show(spread(ready), 2)} s`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Tokens a second between the first and the last point: neither loading nor saving. */
function rateOf(points: Point[]): number {
  const [first, last] = [points[0], points.at(-1)!]
  return (last.tokens - first.tokens) / (last.at - first.at)
}

async function trainAlone(round: number): Promise<number> {
  const child = spawn(
    process.execPath,
    [
      program,
      'sae',
      'train',
      '--model',
      model,
      '--dataset',
      dataset,
      '--hook',
      hook,
      '--d-sae',
      '4096',
      '--k',
      '32',
    ].concat(['--train-tokens', String(tokens), '--out', join(folder, `alone-${round}`), '--events']),
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const points: Point[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as { event: string; tokens: number }
    if (event.event === 'training:progress')
      points.push({ tokens: event.tokens, at: performance.now() / 1000 })
  }
  return rateOf(points)
}

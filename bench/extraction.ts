// The speed of extraction against SAEDashboard, in turns, two threads each: the same SAE, model and tokens, and the
// same top examples. Ours is the whole of `extractFeatures` (compiling, statistics, logits, Parquet) for all features;
// SAEDashboard's time grows with every batch of features, so two batches are run and the rest is reckoned from them.
//   node bench/extraction.ts [--data-dir data] [--hook blocks.4.hook_resid_post] [--tokens 262144] [--rounds 3]
// The data folder is one in which the demo has run.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { withCapture } from '@mistudio/capture'
import { contextOrder, openTokenStore } from '@mistudio/corpus'
import { extractFeatures, inputHooks, openExtraction } from '@mistudio/feature'
import { writeSafetensors } from '@mistudio/files'
import { loadSae } from '@mistudio/sae'
import { gemmSpeed, openWorkerPool } from '@mistudio/tensor'
import { recipe } from '../apps/cli/src/commands/demo/recipe.ts'
import { compareTop, type PeerFeature } from './shared/extraction_compare.ts'
import { machine, markdown, runPeer, settle, show, spread } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    'data-dir': { type: 'string', default: 'data' },
    hook: { type: 'string', default: 'blocks.4.hook_resid_post' },
    tokens: { type: 'string', default: '262144' },
    rounds: { type: 'string', default: '3' },
  },
})
const perBatch = 128
const measuredBatches = 2
const topExamples = 20
const seed = 0

const modelDir = fileURLToPath(new URL('../assets/demo/model', import.meta.url))
const demo = join(values['data-dir'], 'demo')
const saeDir = join(demo, `seed-${seed}`, 'training', values.hook)
const sae = loadSae({ dir: saeDir })
const folder = mkdtempSync(join(tmpdir(), 'mistudio-extraction-'))
const stores = recipe.datasets.map(name => openTokenStore({ dir: join(demo, 'datasets', name) }))
const pool = await openWorkerPool({ count: 2 })
try {
  const gflops = await gemmSpeed({ pool })
  const { contextSize } = recipe
  const splits = stores.map(store => store.split('train'))
  // The order in which extractFeatures reads: the peer gets the same contexts as one tensor.
  const order = contextOrder({ counts: splits.map(({ contexts }) => contexts), seed, epoch: 0 })
  const contexts = Math.min(order.length, Math.ceil(Number(values.tokens) / contextSize))
  const ids = new Int32Array(contexts * contextSize)
  const mask = new Uint8Array(contextSize)
  const numberOf = new Map<string, number>()
  for (let i = 0; i < contexts; i++) {
    const { store, context } = order.at(i)
    splits[store].readContext(context, ids.subarray(i * contextSize, (i + 1) * contextSize), mask)
    numberOf.set(`${stores[store].name}/${context}`, i)
  }
  const tokens = join(folder, 'tokens.safetensors')
  const tensor = { name: 'input_ids', dtype: 'I32' as const, shape: [contexts, contextSize], data: ids }
  await writeSafetensors({ path: tokens, tensors: [tensor] })
  console.log(
    `${await machine()}; GEMM ${gflops.toFixed(0)} GFLOP/s on two threads; ${values.hook}, ${sae.shape.dSae} latents, ${contexts * contextSize} tokens\n`,
  )

  const batches = Math.ceil(sae.shape.dSae / perBatch)
  const ours: number[] = []
  const first: number[] = []
  const next: number[] = []
  const peerTotal: number[] = []
  let peakPeer = 0
  for (let round = 0; round < Number(values.rounds); round++) {
    ours.push(await extractOurs())
    await settle()
    const args = {
      sae: saeDir,
      model: modelDir,
      tokens,
      features: measuredBatches * perBatch,
      'per-batch': perBatch,
      top: topExamples,
      threads: 2,
      out: join(folder, 'peer.json'),
    }
    const answers = await runPeer({
      name: 'saedashboard.py',
      args: Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]),
    })
    const seconds = answers.flatMap(answer => (typeof answer.seconds === 'number' ? [answer.seconds] : []))
    const rest = seconds.slice(1).reduce((sum, value) => sum + value, 0) / (seconds.length - 1)
    first.push(seconds[0])
    next.push(rest)
    peerTotal.push(seconds[0] + (batches - 1) * rest)
    peakPeer = Math.max(peakPeer, (answers.at(-1)!.done as { peak_rss_bytes: number }).peak_rss_bytes)
    await settle()
  }
  const measured = {
    ours: spread(ours),
    peer: spread(peerTotal),
    first: spread(first),
    next: spread(next),
  }
  console.log(
    markdown(
      ['', 'seconds, min / median / max'],
      [
        ['miStudio, all features, to the written Parquet', show(measured.ours, 1)],
        [`SAEDashboard, first ${perBatch} features, the model's forward included`, show(measured.first, 1)],
        [`SAEDashboard, every further ${perBatch} features`, show(measured.next, 1)],
        [`SAEDashboard, all ${batches} batches, reckoned`, show(measured.peer, 0)],
        ['ratio of medians (≥ 10)', (measured.peer.median / measured.ours.median).toFixed(1)],
      ],
    ),
  )
  console.log(
    `\npeak RSS: ours ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB, SAEDashboard ${(peakPeer / 2 ** 20).toFixed(0)} MB`,
  )

  const extraction = await openExtraction({ dir: join(folder, 'ours') })
  const { features } = JSON.parse(readFileSync(join(folder, 'peer.json'), 'utf8')) as {
    features: PeerFeature[]
  }
  const sums = { features: 0, contexts: 0, equal: 0, ties: 0, duplicates: 0, wrong: 0, largestError: 0 }
  for (const peer of features) {
    const { top } = await extraction.feature(peer.feature)
    const examples = top.map(example => ({
      ...example,
      number: numberOf.get(`${example.store}/${example.context}`)!,
    }))
    const found = compareTop({ ours: examples, peer: peer.top, limit: topExamples, ids, contextSize })
    sums.features++
    for (const key of ['contexts', 'equal', 'ties', 'duplicates', 'wrong'] as const) sums[key] += found[key]
    sums.largestError = Math.max(sums.largestError, found.largestError)
  }
  extraction.close()
  console.log(
    `\ntop examples of ${sums.features} features: SAEDashboard's ${sums.contexts} distinct contexts are ours in ${sums.equal} cases; ${sums.ties} tie with our last, ${sums.duplicates} repeat the window of one of ours, ${sums.wrong} are missing; largest difference of an activation ${sums.largestError.toExponential(1)}`,
  )
  process.exitCode = sums.wrong === 0 ? 0 : 1
} finally {
  await pool.close()
  for (const store of stores) store.close()
  rmSync(folder, { recursive: true, force: true })
}

/** @returns seconds */
async function extractOurs(): Promise<number> {
  const out = join(folder, 'ours')
  rmSync(out, { recursive: true, force: true })
  const began = performance.now()
  const sae = loadSae({ dir: saeDir })
  const request = {
    pool,
    models: [modelDir],
    hooks: inputHooks([sae]),
    cacheDir: join(values['data-dir'], 'cache'),
    texts: { stores: stores.map(({ dir }) => dir) },
    tokenizer: true,
  }
  await withCapture(request, capture =>
    extractFeatures({
      pool,
      capture,
      saes: [{ sae, out }],
      maxTokens: Number(values.tokens),
      examplesPerFeature: topExamples,
      seed,
    }),
  )
  return (performance.now() - began) / 1000
}

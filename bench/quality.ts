// Quality against dictionary_learning's TopK on the demo model: the same initial weights and the same activations in
// the same order for both, evaluated by the same code on the same held-out documents, three seeds.
//   node bench/quality.ts [--tokens 1800000] [--seeds 3] [--data-dir DIR]
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { contextsInOrder, createActivationBuffer, shuffledContexts } from '@mistudio/capture'
import { openTokenStore, type TokenStore, tokenizeFiles } from '@mistudio/corpus'
import { type ContextLosses, evaluateSaes, openEvaluation, pairedInterval } from '@mistudio/evaluation'
import { writeSafetensors } from '@mistudio/files'
import { compileForward, openModel } from '@mistudio/model'
import { loadSae } from '@mistudio/sae'
import { openWorkerPool } from '@mistudio/tensor'
import { openTokenizer } from '@mistudio/tokenizer'
import { trainSaes, untrainedSae } from '@mistudio/training'

import { machine, markdown, runPeer } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1800000' },
    seeds: { type: 'string', default: '3' },
    'data-dir': { type: 'string', default: 'data' },
    rate: { type: 'string', default: '1e-3' },
  },
})
const hook = 'blocks.4.hook_resid_post'
const shape = { dIn: 256, dSae: 4096 }
const k = 32
const batchSize = 1024
const contextSize = 128
const contextsPerCall = 8
const deadAfterTokens = 200_000
const learningRate = Number(values.rate)
const trainTokens = Number(values.tokens)
const totalSteps = Math.ceil(trainTokens / batchSize)

const assets = fileURLToPath(new URL('../assets/demo', import.meta.url))
const folder = join(values['data-dir'], 'bench-quality')
mkdirSync(folder, { recursive: true })
const pool = await openWorkerPool({ count: 2 })
const model = await openModel({ dir: join(assets, 'model'), cacheDir: join(values['data-dir'], 'cache') })
const stores = await openStores()
const forward = await compileForward({ model, pool, contextsPerCall, contextSize, captures: [hook] })
console.log(
  `${await machine()}; ${trainTokens} tokens, ${totalSteps} steps of ${batchSize}, rate ${learningRate}\n`,
)

const results: {
  seed: number
  side: string
  fvu: number
  deltaCe: number
  alive: number
  l0: number
  tokens: number
  seconds: number
  documents: DocumentLosses
}[] = []
for (let seed = 0; seed < Number(values.seeds); seed++) {
  const weights = untrainedSae({ ...shape, seed }).weights
  const source = shuffledContexts({ splits: stores.map(store => store.split('train')), contextSize, seed })
  const data = join(folder, 'activations.f32')
  await exportBatches({ source, seed, path: data })
  const init = join(folder, 'init.safetensors')
  const matrix = [shape.dSae, shape.dIn]
  await writeSafetensors({
    path: init,
    tensors: [
      { name: 'W_enc', dtype: 'F32', shape: matrix, data: weights.wEnc },
      { name: 'W_dec', dtype: 'F32', shape: matrix, data: weights.wDec },
      { name: 'b_enc', dtype: 'F32', shape: [shape.dSae], data: weights.bEnc },
      { name: 'b_dec', dtype: 'F32', shape: [shape.dIn], data: weights.bDec },
    ],
  })
  const ours = join(folder, `ours-${seed}`)
  rmSync(ours, { recursive: true, force: true })
  const began = performance.now()
  await trainSaes({
    pool,
    forward,
    contextsPerCall,
    source,
    modelName: 'demo',
    datasets: [],
    out: ours,
    initialWeights: new Map([['sae', weights]]),
    members: [
      {
        name: 'sae',
        family: 'topk',
        inputs: [hook],
        outputs: [],
        dSae: shape.dSae,
        settings: {
          k,
          dead_after_tokens: deadAfterTokens,
          learning_rate: learningRate,
          warm_up_steps: 100,
          decay_fraction: 0.2,
          clip_norm: 1,
          normalisation: 'none',
        },
      },
    ],
    settings: { trainTokens, batchSize, seed },
  })
  await judge({ seed, side: 'ours', dir: join(ours, 'sae'), seconds: (performance.now() - began) / 1000 })
  const theirs = join(folder, `peer-${seed}`)
  const args = {
    data,
    init,
    lr: learningRate,
    seed,
    'warm-up': 100,
    decay: 0.2,
    'dead-after': deadAfterTokens,
    out: theirs,
    'd-in': shape.dIn,
    'd-sae': shape.dSae,
    k,
    batch: batchSize,
    steps: totalSteps,
    hook,
  }
  const answers = await runPeer({
    name: 'dictionary_learning_topk.py',
    args: Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]),
  })
  const done = answers.at(-1)!.done as { train_seconds: number }
  await judge({ seed, side: 'dictionary_learning', dir: theirs, seconds: done.train_seconds })
  rmSync(data)
}
report()
await forward.close()
for (const store of stores) store.close()
await pool.close()

type DocumentLosses = Map<string, { tokens: number; delta: number }>

async function openStores(): Promise<TokenStore[]> {
  const tokenizer = openTokenizer({ dir: join(assets, 'model') })
  const result: TokenStore[] = []
  for (const name of ['scripture', 'dictionary', 'programming', 'databases']) {
    const out = join(folder, 'datasets', name)
    await tokenizeFiles({ files: [join(assets, 'datasets', `${name}.jsonl`)], tokenizer, contextSize, out })
    result.push(openTokenStore({ dir: out }))
  }
  return result
}

/** Writes the activations of every step in training order, as the loop will read them. */
async function exportBatches({
  source,
  seed,
  path,
}: {
  source: ReturnType<typeof shuffledContexts>
  seed: number
  path: string
}) {
  const contexts = 512
  const memory = await pool.memory({ bytes: batchSize * shape.dIn * 4 + 4096 })
  const at = memory.alloc(batchSize * shape.dIn * 4)
  const window = await createActivationBuffer({
    pool,
    forward,
    contextsPerCall,
    hooks: [hook],
    source,
    contexts,
    seed,
  })
  const file = openSync(path, 'w')
  let step = 0
  for (let index = 0; step < totalSteps; index++) {
    const batches = Math.floor((await window.fill(index)) / batchSize)
    for (let batch = 0; batch < batches && step < totalSteps; batch++, step++) {
      const rows = { ...window.rows, offset: window.rows.offset + batch * batchSize * 4 }
      const copy = {
        from: window.activations(hook),
        to: { memory: memory.id, offset: at },
        rows,
        count: batchSize,
        width: shape.dIn,
      }
      await pool.run([[{ copy }]])
      writeSync(file, memory.u8(at, batchSize * shape.dIn * 4))
    }
  }
  closeSync(file)
  await window.close()
  await pool.release(memory)
}

/** The same evaluation for both sides, with each document's own sums of the spliced and the clean loss. */
async function judge({
  seed,
  side,
  dir,
  seconds,
}: {
  seed: number
  side: string
  dir: string
  seconds: number
}) {
  const splits = stores.map(store => store.split('held_out'))
  const documents: DocumentLosses = new Map()
  const onContext = (_: number, { context, scored, clean, spliced }: ContextLosses) => {
    let split = 0
    let index = context
    while (index >= splits[split].contexts) index -= splits[split++].contexts
    for (const { start, end, document } of splits[split].documentsOf(index)) {
      const key = `${split}/${document}`
      const sums = documents.get(key) ?? { tokens: 0, delta: 0 }
      for (let t = start; t < end; t++) {
        if (scored[t] === 0) continue
        sums.tokens++
        sums.delta += spliced[t] - clean[t]
      }
      documents.set(key, sums)
    }
  }
  const sae = loadSae({ dir })
  const opened = await openEvaluation({ model, pool, contextSize, saes: [{ sae, file: dir }] })
  const [e] = await evaluateSaes({
    ...opened,
    pool,
    source: contextsInOrder({ splits, contextSize }),
    split: 'held_out',
    maxCeTokens: 1_000_000,
    onContext,
  })
  await opened.close()
  results.push({
    seed,
    side,
    fvu: e.fvu!,
    deltaCe: e.delta_ce!,
    alive: 1 - e.dead_fraction!,
    l0: e.l0!,
    tokens: e.tokens,
    seconds,
    documents,
  })
  console.error(
    `seed ${seed} ${side}: FVU ${e.fvu!.toFixed(4)}, ΔCE ${e.delta_ce!.toFixed(4)} over ${e.ce_tokens} tokens, alive ${(100 - 100 * e.dead_fraction!).toFixed(2)} %`,
  )
}

function report() {
  const rows = results.map(r => [
    String(r.seed),
    r.side,
    r.fvu.toFixed(4),
    r.deltaCe.toFixed(4),
    `${(100 * r.alive).toFixed(2)} %`,
    r.l0.toFixed(1),
    r.seconds.toFixed(0),
  ])
  console.log(markdown(['seed', 'side', 'FVU', 'ΔCE (nats)', 'alive on held-out', 'L0', 'training s'], rows))
  const mean = (side: string, pick: (r: (typeof results)[number]) => number) => {
    const chosen = results.filter(r => r.side === side).map(pick)
    return chosen.reduce((sum, value) => sum + value, 0) / chosen.length
  }
  const ratio = (pick: (r: (typeof results)[number]) => number) =>
    (mean('ours', pick) / mean('dictionary_learning', pick)).toFixed(4)
  console.log(
    `\nFVU ratio of means ${ratio(r => r.fvu)} (≤ 1.02), ΔCE ratio ${ratio(r => r.deltaCe)} (≤ 1.02), alive ${(100 * mean('ours', r => r.alive)).toFixed(2)} % (≥ 95 % or the peer's ${(100 * mean('dictionary_learning', r => r.alive)).toFixed(2)} %)`,
  )
  for (const ours of results.filter(r => r.side === 'ours')) {
    const peer = results.find(r => r.side !== 'ours' && r.seed === ours.seed)!
    const { mean: difference, low, high, documents } = pairedInterval(ours.documents, peer.documents)
    console.log(
      `seed ${ours.seed}: ΔCE(ours) − ΔCE(peer) per token, ${documents} held-out documents paired: ${difference.toFixed(5)} [${low.toFixed(5)}, ${high.toFixed(5)}] (95 % bootstrap), ${ours.tokens} tokens for FVU`,
    )
  }
}

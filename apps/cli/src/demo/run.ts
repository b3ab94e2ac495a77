// The demo: four datasets to token stores, four SAEs from one pass of the model, their evaluation, their features.
// Everything lies in <data dir>/demo; each stage looks for what an earlier run finished and does not do it again.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  checkTokenizer,
  openTokenStore,
  type TextTokenizer,
  type TokenStore,
  tokenizeFiles,
} from '@mistudio/corpus'
import { createProgressBoard, extractFeatures, readExtractionInfo } from '@mistudio/feature'
import { compileForward, type LanguageModel, openModel, openTokenizer } from '@mistudio/model'
import { type Evaluation, evaluateSaes, loadSaeLens, shuffledContexts, trainSaes } from '@mistudio/sae'
import { InputError, type Lanes, writeFileAtomic } from '@mistudio/tensor'
import type { JobContext } from '../command.ts'
import { showTraining } from '../commands/sae_train.ts'
import { contextsPerCall, withLanes } from '../engine.ts'
import { gemmSpeed } from '../gemm_speed.ts'
import { pickFeatures } from './pick.ts'
import { recipe } from './recipe.ts'
import type { DemoResult, DemoSpec } from './result.ts'

const assets = fileURLToPath(new URL('../../../../assets/demo', import.meta.url))

type Stage = {
  dir: string
  spec: DemoSpec
  lanes: Lanes
  model: LanguageModel
  stores: TokenStore[]
  context: JobContext
}

/** Ctrl-C between or inside stages; what is finished or checkpointed is kept. */
class Stopped extends Error {}

export async function runDemo(spec: DemoSpec, context: JobContext): Promise<DemoResult> {
  const began = performance.now()
  const dir = join(spec.dataDir, 'demo')
  mkdirSync(dir, { recursive: true })
  const model = await openModel({ dir: join(assets, 'model'), cacheDir: join(spec.dataDir, 'cache') })
  const tokenizer = openTokenizer({ dir: join(assets, 'model') })
  const run = join(dir, `seed-${spec.seed}`)
  const stores: TokenStore[] = []
  try {
    return await withLanes({ threads: spec.threads }, async lanes => {
      const gflops = await gemmSpeed({ lanes })
      context.note(`matrix product of this machine, ${lanes.count} threads: ${gflops.toFixed(0)} GFLOP/s`)
      for (const name of recipe.datasets) stores.push(await storeOf({ name, dir, tokenizer, context }))
      const stage: Stage = { dir: run, spec, lanes, model, stores, context }
      const trained = await train(stage)
      const evaluations = await evaluate(stage)
      const extractions = await extract(stage, tokenizer)
      return {
        saes: recipe.hooks.map(hook => {
          const {
            ce_tokens: _ce,
            split: _split,
            mse: _mse,
            relative_reconstruction_bias: _bias,
            ...measured
          } = evaluations[hook]
          return {
            path: saeDir(run, hook),
            hook_point: hook,
            d_sae: recipe.dSae,
            k: recipe.k,
            ...measured,
            tokens: trained,
          }
        }),
        extractions,
        seconds: (performance.now() - began) / 1000,
        peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
        features: await pickFeatures(extractions),
        gemm_gflops: gflops,
        evaluated_tokens: evaluations[recipe.hooks[0]].tokens,
        ce_tokens: evaluations[recipe.hooks[0]].ce_tokens,
      }
    })
  } catch (error) {
    if (!(error instanceof Stopped)) throw error
    const stopped = { savedTo: dir, how: 'run the same command to go on' }
    const nothing = {
      saes: [],
      extractions: [],
      features: [],
      gemm_gflops: 0,
      evaluated_tokens: 0,
      ce_tokens: 0,
    }
    const seconds = (performance.now() - began) / 1000
    return { ...nothing, seconds, peak_rss_bytes: process.resourceUsage().maxRSS * 1024, stopped }
  } finally {
    for (const store of stores) store.close()
  }
}

const saeDir = (run: string, hook: string) => join(run, 'training', hook)

function checkStop(context: JobContext): void {
  if (context.signal.stopped()) throw new Stopped()
}

/** The dataset's token store, made if there is none that fits. */
async function storeOf(options: {
  name: string
  dir: string
  tokenizer: TextTokenizer
  context: JobContext
}): Promise<TokenStore> {
  const { name, dir, tokenizer, context } = options
  checkStop(context)
  const out = join(dir, 'datasets', name)
  const file = join(assets, 'datasets', `${name}.jsonl`)
  const found = existsSync(out) ? usableStore({ out, file, tokenizer }) : undefined
  if (found !== undefined) return found
  await tokenizeFiles({
    files: [file],
    tokenizer,
    contextSize: recipe.contextSize,
    out,
    onProgress({ bytesDone, bytesTotal }) {
      checkStop(context)
      context.progress({ stage: `tokenizing ${name}`, done: bytesDone, total: bytesTotal, unit: 'bytes' })
    },
  })
  return openTokenStore({ dir: out })
}

/** An earlier store of the same text, tokenizer and context length; a damaged or other one is made again. */
function usableStore(options: {
  out: string
  file: string
  tokenizer: TextTokenizer
}): TokenStore | undefined {
  const { out, file, tokenizer } = options
  let store: TokenStore | undefined
  try {
    store = openTokenStore({ dir: out })
    checkTokenizer({ store, tokenizer })
    const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex')
    if (store.contextSize === recipe.contextSize && store.info.files[0].sha256 === sha256) return store
  } catch (error) {
    if (!(error instanceof InputError)) throw error
  }
  store?.close()
  return undefined
}

/** @returns tokens each SAE was trained on */
async function train({ dir, spec, lanes, model, stores, context }: Stage): Promise<number> {
  checkStop(context)
  const { contextSize, hooks, dSae, k, settings } = recipe
  const perCall = contextsPerCall(contextSize)
  const forward = await compileForward({
    model,
    lanes,
    contextsPerCall: perCall,
    contextSize,
    captures: hooks,
  })
  try {
    const result = await trainSaes({
      lanes,
      forward,
      contextsPerCall: perCall,
      source: shuffledContexts({
        splits: stores.map(store => store.split('train')),
        contextSize,
        seed: spec.seed,
      }),
      members: hooks.map(hook => ({ name: hook, hook, dSae, config: { k } })),
      settings: { ...settings, seed: spec.seed },
      modelName: 'mistudio-demo',
      datasets: [...recipe.datasets],
      out: join(dir, 'training'),
      resume: true,
      stopped: context.signal.stopped,
      onEvent: event => showTraining(event, context),
    })
    if (result.status === 'stopped') throw new Stopped()
    return result.tokens
  } finally {
    await forward.close()
  }
}

/** Which weights a result was made from: a result of other weights is made again. */
const weightsHash = (sae: string) =>
  createHash('sha256')
    .update(readFileSync(join(sae, 'sae_weights.safetensors')))
    .digest('hex')

function madeFrom(file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {}
  }
}

async function evaluate({ dir, lanes, model, stores, context }: Stage): Promise<Record<string, Evaluation>> {
  const { contextSize, hooks } = recipe
  const fileOf = (hook: string) => join(dir, 'evaluations', `${hook}.json`)
  const result: Record<string, Evaluation> = {}
  for (const hook of hooks) {
    const { sae_sha256: made, ...evaluation } = madeFrom(fileOf(hook))
    if (made === weightsHash(saeDir(dir, hook))) result[hook] = evaluation as Evaluation
  }
  const missing = hooks.filter(hook => result[hook] === undefined)
  if (missing.length === 0) return result
  checkStop(context)
  const graph = { model, lanes, contextsPerCall: contextsPerCall(contextSize), contextSize }
  const suffixes = new Map(
    await Promise.all(
      missing.map(
        async hook => [hook, await compileForward({ ...graph, from: hook, tokenLoss: true })] as const,
      ),
    ),
  )
  const captures = new Set([...missing, ...[...suffixes.values()].flatMap(({ frontier }) => frontier)])
  const prefix = await compileForward({ ...graph, captures: [...captures] })
  const measured = await evaluateSaes({
    ...graph,
    saes: missing.map(hook => ({
      sae: loadSaeLens({ dir: saeDir(dir, hook) }),
      hook,
      suffix: suffixes.get(hook)!,
    })),
    prefix,
    source: shuffledContexts({ splits: stores.map(store => store.split('held_out')), contextSize, seed: 0 }),
    split: 'held_out',
    ...recipe.evaluation,
    stopped: context.signal.stopped,
    onProgress: (done, total) =>
      context.progress({ stage: 'evaluating on held-out documents', done, total, unit: 'contexts' }),
  })
  await prefix.close()
  for (const suffix of suffixes.values()) await suffix.close()
  checkStop(context)
  mkdirSync(join(dir, 'evaluations'), { recursive: true })
  missing.forEach((hook, i) => {
    const { sums: _, ...evaluation } = measured[i]
    result[hook] = evaluation
    const record = { sae_sha256: weightsHash(saeDir(dir, hook)), ...evaluation }
    writeFileAtomic(fileOf(hook), `${JSON.stringify(record, null, 2)}\n`)
  })
  return result
}

async function extract(
  stage: Stage,
  tokenizer: ReturnType<typeof openTokenizer>,
): Promise<DemoResult['extractions']> {
  const { dir, spec, lanes, model, stores, context } = stage
  const outOf = (hook: string) => join(dir, 'extractions', hook)
  const recordOf = (hook: string) => join(dir, 'extractions', `${hook}.json`)
  const hashes = new Map(recipe.hooks.map(hook => [hook, weightsHash(saeDir(dir, hook))]))
  const missing = recipe.hooks.filter(
    hook => madeFrom(recordOf(hook)).sae_sha256 !== hashes.get(hook) || !existsSync(outOf(hook)),
  )
  if (missing.length > 0) {
    checkStop(context)
    mkdirSync(join(dir, 'extractions'), { recursive: true })
    const board = createProgressBoard()
    const timer = setInterval(() => showExtraction(board, context), 500)
    try {
      const summaries = await extractFeatures({
        lanes,
        model,
        tokenizer,
        stores,
        split: 'train',
        saes: missing.map(hook => ({ sae: loadSaeLens({ dir: saeDir(dir, hook) }), out: outOf(hook) })),
        maxTokens: recipe.extractionTokens,
        seed: spec.seed,
        board,
        signal: context.signal,
        contextsPerCall: contextsPerCall(recipe.contextSize),
      })
      if (summaries.some(({ complete }) => !complete)) throw new Stopped()
    } finally {
      clearInterval(timer)
    }
    for (const hook of missing)
      writeFileAtomic(recordOf(hook), `${JSON.stringify({ sae_sha256: hashes.get(hook) })}\n`)
  }
  return recipe.hooks.map(hook => {
    const { featuresAlive } = readExtractionInfo({ dir: outOf(hook) })
    return { path: outOf(hook), hook_point: basename(outOf(hook)), features: featuresAlive }
  })
}

function showExtraction(board: ReturnType<typeof createProgressBoard>, context: JobContext): void {
  const { phase, samples_processed: done, total_samples: total, heap_examples_count: examples } = board.read()
  if (phase === 'extracting' && total > 0) {
    context.progress({ stage: 'extracting features', done, total, unit: 'contexts', figures: { examples } })
  }
}

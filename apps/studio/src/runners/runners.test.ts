// Every kind of runner in a real process: text to tokens, tokens to SAEs, an SAE to features, features to words.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { withCapture, writeActivationCache } from '@mistudio/capture'
import { type NlpSummary, nlpSummary } from '@mistudio/contract'
import { metricTable } from '@mistudio/evaluation'
import { type NlpSummary as Analysed, openExtraction } from '@mistudio/feature'
import { withWorkerPool } from '@mistudio/tensor'
import { checkpointsOf, membersOf, readCheckpoint } from '@mistudio/training'
import { afterAll, beforeAll, expect, expectTypeOf, test } from 'vitest'
import {
  extractSpec,
  run,
  tokenizeSpec,
  trainSpec,
  weightsOf,
  writeText,
} from '../../testing/runner_specs.ts'
import { processStart } from '../db/process_start.ts'
import { newId } from '../ids.ts'
import type { NlpLine, NlpSpec, RunnerMessage, RunnerSpec } from './spec.ts'

const folder = mkdtempSync(join(tmpdir(), 'mistudio-runners-'))
const at = (...names: string[]) => join(folder, ...names)
const cacheDir = at('cache')
const stores = [at('scripture', 'store'), at('dictionary', 'store')]
const saeDir = at('whole', 'run', 'blocks.0.hook_resid_post')
const nlpSpec = (out: string): NlpSpec => ({
  kind: 'nlp',
  extractionId: newId('extraction'),
  extractionDir: at('extract', 'extraction'),
  out,
})

/** Each kind works on what the one before has made. */
beforeAll(async () => {
  for (const name of ['scripture', 'dictionary']) {
    const file = writeText({ path: at(`${name}.jsonl`), name, lines: 60 })
    const { end, events } = await run(tokenizeSpec({ file, out: at(name) }))
    const store = JSON.parse(readFileSync(at(name, 'store', 'store.json'), 'utf8'))
    const splitOf = ({ documents, contexts, tokens }: Record<string, number>) => ({
      documents,
      contexts,
      tokens,
    })
    const splits = { train: splitOf(store.splits.train), held_out: splitOf(store.splits.held_out) }
    expect(end).toEqual({
      kind: 'result',
      result: { kind: 'tokenize', vocabSize: 8192, badLines: 0, splits },
    })
    expect(splits.train.documents + splits.held_out.documents).toBe(60)
    expect(events.at(-1)!.data).toMatchObject({ progress: 1, documents: 60 })
  }
  const trained = await run(trainSpec({ stores, cacheDir, out: at('whole') }))
  expect(trained.end).toEqual({
    kind: 'result',
    result: { kind: 'train', status: 'completed', step: 100, totalSteps: 100, tokens: 25_600 },
  })
  const { data } = trained.events.at(-1)!
  expect(data).toMatchObject({
    ...{ progress: 1, step: 100, total_steps: 100, eta_seconds: 0 },
    outlier_tokens: { 'blocks.0.hook_resid_post': 0, 'blocks.0.hook_mlp_out': 0 },
  })
  // A process with a model and two learners.
  expect('memory_bytes' in data && data.memory_bytes).toBeGreaterThan(100e6)
  expect('saes' in data && data.saes.map(({ layer, hook_type }) => [layer, hook_type])).toEqual([
    [0, 'resid_post'],
    [0, 'mlp_out'],
  ])
  const extracted = await run(extractSpec({ saeDir, stores, cacheDir, out: at('extract') }))
  expect(extracted.end).toMatchObject({ kind: 'result', result: { kind: 'extract', complete: true } })
  expect(extracted.events.map(({ event }) => event).indexOf('extraction:completed')).toBe(
    extracted.events.length - 1,
  )
  completed = extracted.events.at(-1)!.data as typeof completed
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let completed: { features_in_heap: number; heap_examples_count: number; progress: number; phase: string }

test('a training that is stopped, resumed, killed and resumed again has the bits of one left alone', async () => {
  const spec = (out: string) => trainSpec({ stores, cacheDir, out })
  const hookPoints = spec('').members.map(({ name }) => name)
  const stopped = await run(spec(at('attempt-1')), ({ event }, runner) => {
    if (event === 'training:checkpoint') runner.stop()
  })
  const { end } = stopped
  if (end.kind !== 'result' || end.result.kind !== 'train') throw new Error(JSON.stringify(end))
  expect(end.result.status).toBe('stopped')
  expect(end.result.step).toBeLessThan(end.result.totalSteps)
  // The SAEs as they are then, and the checkpoint to go on from.
  expect(weightsOf(at('attempt-1', 'run'), hookPoints)).toHaveLength(2)
  expect(readCheckpoint({ out: at('attempt-1', 'run') })?.state.step).toBeGreaterThan(0)

  const from = end.result.step
  cpSync(at('attempt-1', 'run'), at('attempt-2', 'run'), { recursive: true })
  const killed = await run(spec(at('attempt-2')), ({ event }, { pid }) => {
    if (event === 'training:checkpoint') process.kill(pid, 'SIGKILL')
  })
  expect(killed.end).toEqual({ kind: 'crashed', message: 'it was ended by SIGKILL' })
  const { data } = killed.events.find(({ event }) => event === 'training:checkpoint')!
  expect('step' in data && data.step).toBeGreaterThan(from)

  cpSync(at('attempt-2', 'run'), at('attempt-3', 'run'), { recursive: true })
  const finished = await run(spec(at('attempt-3')))
  expect(finished.end).toMatchObject({ kind: 'result', result: { status: 'completed', step: 100 } })
  expect(weightsOf(at('attempt-3', 'run'), hookPoints)).toEqual(weightsOf(at('whole', 'run'), hookPoints))
  expect(existsSync(at('attempt-3', 'run', 'checkpoints'))).toBe(false)
})

test('a training reads cached activations, and several models, as the command line does', async () => {
  const spec = trainSpec({ stores, cacheDir, out: at('from-cache') })
  const { modelDirs, hyperparameters, members } = spec
  const { seed } = hyperparameters
  const hooks = members.flatMap(({ inputs }) => inputs)
  await withWorkerPool({ threads: 2 }, pool =>
    withCapture({ pool, models: modelDirs, hooks, cacheDir, texts: { stores, seed } }, async capture => {
      const { forward, contextsPerCall, source, texts } = capture
      const { modelName: model, ...fingerprints } = texts.names()
      await writeActivationCache({
        ...{ pool, forward, contextsPerCall, source, tokens: 30_000, out: at('activations') },
        origin: {
          ...{ model, ...fingerprints, hooks, dtype: 'float32', windowContexts: 1024, seed },
          ...{ datasets: [...texts.datasets], datasetWeights: null, outlierNormMultiple: 0 },
        },
      })
    }),
  )
  const cached = await run({ ...spec, stores: [], cached: at('activations') })
  expect(cached.end).toMatchObject({ kind: 'result', result: { status: 'completed', step: 100 } })
  const names = members.map(({ name }) => name)
  expect(weightsOf(at('from-cache', 'run'), names)).toEqual(weightsOf(at('whole', 'run'), names))

  const inputs = ['0:blocks.0.hook_resid_post', '1:blocks.1.hook_resid_post']
  const two = await run({
    ...trainSpec({ stores, cacheDir, out: at('two-models') }),
    modelDirs: [...modelDirs, ...modelDirs],
    members: membersOf({ family: 'crosscoder', inputs, dSae: 128, settings: {} }),
    hyperparameters: {
      ...hyperparameters,
      family: 'crosscoder',
      d_sae: 128,
      settings: {},
      train_tokens: 1024,
    },
  })
  expect(two.end).toMatchObject({ kind: 'result', result: { status: 'completed', step: 4 } })
})

test('a runner that computes is gone soon after its host was killed', async () => {
  mkdirSync(at('orphan'))
  const short = trainSpec({ stores, cacheDir, out: at('orphan') })
  const hyperparameters = { ...short.hyperparameters, train_tokens: 100_000 * 256 }
  const spec = { ...short, hyperparameters, checkpointEverySteps: 1 }
  const parent = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../testing/runner_parent.ts', import.meta.url)), JSON.stringify(spec)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  try {
    const [line] = await once(createInterface({ input: parent.stdout }), 'line')
    const { pid } = JSON.parse(line)
    expect(processStart({ pid })).toBeDefined()
    parent.kill('SIGKILL')
    await expect.poll(() => processStart({ pid }), { timeout: 15_000 }).toBeUndefined()
  } finally {
    parent.kill('SIGKILL')
  }
  // It was in the middle of its work.
  expect(existsSync(at('orphan', 'run', 'training.json'))).toBe(false)
})

test('the last counters of an extraction equal a recount of its file; windows are as wide as asked for', async () => {
  const path = at('extract', 'extraction', 'examples.parquet')
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const [recount] = (
    await connection.runAndReadAll(
      `SELECT count(DISTINCT feature)::INTEGER AS features_in_heap, count(*)::INTEGER AS heap_examples_count
       FROM read_parquet($1) WHERE kind = 'top'`,
      [path],
    )
  ).getRowObjectsJS()
  expect(completed).toMatchObject({ ...recount, progress: 1, phase: 'writing' })
  expect(completed.heap_examples_count).toBeGreaterThan(completed.features_in_heap)
  const [widths] = (
    await connection.runAndReadAll(
      `SELECT max(position - window_start) AS before, max(len(tokens) - 1 - (position - window_start)) AS after,
       max(rank) AS rank FROM read_parquet($1) WHERE kind = 'top'`,
      [path],
    )
  ).getRowObjectsJS()
  expect(Object.values(widths!).map(Number)).toEqual([6, 3, 4])
  connection.closeSync()
})

test('an extraction that is stopped keeps what it read, says so, and does not say that it is completed', async () => {
  const spec = extractSpec({ saeDir, stores, cacheDir, out: at('cut') })
  const { events, end } = await run(spec, (_, runner) => runner.stop())
  expect(end).toMatchObject({ kind: 'result', result: { kind: 'extract', complete: false } })
  expect(events.map(({ event }) => event)).not.toContain('extraction:completed')
  expect(existsSync(at('cut', 'extraction', 'extraction.json'))).toBe(true)
})

test('the analysis writes a line for every feature with examples, in order', async () => {
  expectTypeOf<Analysed>().toEqualTypeOf<NlpSummary>()
  const { end, events } = await run(nlpSpec(at('nlp')))
  const features = completed.features_in_heap
  expect(end).toEqual({ kind: 'result', result: { kind: 'nlp', features, complete: true } })
  expect(readdirSync(at('nlp'))).toEqual(['nlp.jsonl'])
  const lines = readLines(at('nlp', 'nlp.jsonl'))
  const extraction = await openExtraction({ dir: at('extract', 'extraction') })
  const listed = await extraction.features({ sortBy: 'feature', limit: 1e6 })
  expect(lines.map(({ feature }) => feature)).toEqual(
    listed.filter(({ top_examples }) => top_examples > 0).map(({ feature }) => feature),
  )
  for (const { feature, nlp } of lines) {
    expect(nlpSummary.parse(nlp).examples).toBe(listed.find(one => one.feature === feature)!.top_examples)
  }
  extraction.close()
  const told = events.map(({ data }) => ('nlp_processed_count' in data ? data.nlp_processed_count : -1))
  expect(told).toEqual([...told].sort((a, b) => a - b))
  expect([told[0], told.at(-1)]).toEqual([0, features])
  // At each twentieth, or sooner.
  expect(Math.max(...told.slice(1).map((count, i) => count - told[i]))).toBeLessThanOrEqual(features / 20 + 1)
})

test('an analysis that is stopped has whole lines of what it did', async () => {
  const { end } = await run(nlpSpec(at('nlp-cut')), (_, runner) => runner.stop())
  const lines = readLines(at('nlp-cut', 'nlp.jsonl'))
  expect(end).toEqual({ kind: 'result', result: { kind: 'nlp', features: lines.length, complete: false } })
  expect(lines.length).toBeLessThan(completed.features_in_heap)
})

test('a tokenization that is stopped is gone without a result', async () => {
  const file = writeText({ path: at('long.jsonl'), name: 'programming', lines: 2000 })
  const { end } = await run(tokenizeSpec({ file, out: at('stopped') }), (_, runner) => runner.stop())
  expect(end).toEqual({ kind: 'crashed', message: 'it was ended by SIGKILL' })
  expect(existsSync(at('stopped', 'store'))).toBe(false)
})

test('a stopped run of several families gives SAEs of its checkpoint, and one of them is tried again to its end', async () => {
  const base = trainSpec({ stores, cacheDir, out: at('families') })
  const inputs = ['blocks.0.hook_resid_post']
  const members = [
    ...membersOf({ family: 'batchtopk', inputs, dSae: 256, settings: {}, sweep: { k: [4, 8] } }),
    ...membersOf({ family: 'jumprelu', inputs, dSae: 256, settings: {} }).map(member => ({
      ...member,
      name: 'jumprelu',
    })),
  ]
  // Thresholds are calibrated on few tokens: this test is about where the SAEs lie.
  const hyperparameters = { ...base.hyperparameters, run: { calibration_tokens: 2048 } }
  const spec = { ...base, members, hyperparameters }
  const stopped = await run(spec, ({ event }, runner) => {
    if (event === 'training:checkpoint') runner.stop()
  })
  expect(stopped.end).toMatchObject({ kind: 'result', result: { status: 'stopped' } })
  const told = stopped.events.findLast(({ event }) => event === 'training:progress')!.data
  if (!('saes' in told)) throw new Error('no members are told of')
  expect(told.saes.map(({ name, family, variant }) => [name, family, variant])).toEqual([
    ['blocks.0.hook_resid_post-k=4', 'batchtopk', { k: 4 }],
    ['blocks.0.hook_resid_post-k=8', 'batchtopk', { k: 8 }],
    ['jumprelu', 'jumprelu', {}],
  ])
  const known = new Set(Object.keys(metricTable))
  const named = Object.keys(told.saes[0].metrics).filter(name => known.has(name))
  expect(named).toEqual(
    expect.arrayContaining(['loss', 'reconstruction', 'fvu', 'l0', 'cosine', 'grad_norm']),
  )
  const runDir = at('families', 'run')
  const { step } = checkpointsOf(runDir).at(-1)!
  const { trainingId, modelDirs, datasetWeights } = spec
  const finalised = await run({
    ...{
      kind: 'finalise',
      trainingId,
      modelDirs,
      cacheDir,
      stores,
      datasetWeights,
      members,
      hyperparameters,
    },
    ...{ runDir, step, out: at('finalised') },
  })
  expect(finalised.end).toEqual({
    kind: 'result',
    result: { kind: 'finalise', step, saes: members.map(({ name }) => name) },
  })
  expect(
    weightsOf(
      at('finalised', 'saes'),
      members.map(({ name }) => name),
    ),
  ).toHaveLength(3)
  const again = await run({ ...spec, retry: 'jumprelu' })
  expect(again.end).toMatchObject({ kind: 'result', result: { kind: 'train', status: expect.any(String) } })
  const last = again.events.findLast(({ event }) => event === 'training:progress')!.data
  expect('saes' in last && last.saes).toMatchObject([{ name: 'jumprelu', status: 'completed', step: 100 }])
})

test('bad input fails with file, field, what was found and what was expected', async () => {
  const file = at('bad.jsonl')
  writeFileSync(file, '{"text": "one"}\n{"words": "two"}\n')
  const train = trainSpec({ stores, cacheDir, out: at('bad') })
  const hyperparameters = { ...train.hyperparameters, context_size: 32 }
  const extract = extractSpec({ saeDir: at('nowhere'), stores, cacheDir, out: at('bad') })
  const cases: [RunnerSpec, RegExp][] = [
    [
      tokenizeSpec({ file, out: at('bad') }),
      /file: .*bad\.jsonl; line: 2; field: text; found: .*; expected: /,
    ],
    [
      { ...train, hyperparameters },
      /file: .*store\.json; field: context_size; found: 64; expected: 32, as requested/,
    ],
    [
      { ...train, members: [{ ...train.members[0], inputs: ['blocks.9.hook_resid_post'] }] },
      /blocks\.9\.hook_resid_post.*expected: /,
    ],
    [extract, /file: .*nowhere.*; (found|expected): /],
    [{ ...nlpSpec(at('bad')), extractionDir: at('nowhere') }, /file: .*nowhere.*found: .*; expected: /],
  ]
  for (const [spec, message] of cases) {
    const { end } = await run(spec)
    expect(end).toEqual({ kind: 'failed', message: expect.stringMatching(message) })
  }
})

test('the process ends with 0 after a result and with 1 after a failure', async () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const ends = ['extract', 'nowhere'].map(async name => {
    const child = fork(main, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced',
    })
    const messages: RunnerMessage[] = []
    child.on('message', message => messages.push(message as RunnerMessage))
    child.send({ kind: 'spec', spec: { ...nlpSpec(folder), extractionDir: at(name, 'extraction') } })
    const code = await new Promise(resolve => child.on('close', resolve))
    return [messages.at(-1)?.kind, code]
  })
  expect(await Promise.all(ends)).toEqual([
    ['result', 0],
    ['failed', 1],
  ])
})

const readLines = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as NlpLine)

// Real runners for tests: a little text, the demo model, and every event judged by the contract.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventData } from '@mistudio/contract'
import { membersOf } from '@mistudio/training'
import { newId } from '../src/ids.ts'
import type { Runner, RunnerEnd } from '../src/jobs/runner.ts'
import { startRunner } from '../src/jobs/runner_process.ts'
import type { ExtractSpec, RunnerEvent, RunnerSpec, TokenizeSpec, TrainSpec } from '../src/runners/spec.ts'
import { demoAssets } from '../src/storage.ts'

export const modelDir = join(demoAssets, 'model')
export const contextSize = 64

/** The first `lines` documents of a demo text. */
export function writeText(options: { path: string; name: string; lines: number }): string {
  const { path, name, lines } = options
  const text = readFileSync(join(demoAssets, 'datasets', `${name}.jsonl`), 'utf8')
  writeFileSync(path, `${text.split('\n').slice(0, lines).join('\n')}\n`)
  return path
}

export function tokenizeSpec(options: { file: string; out: string }): TokenizeSpec {
  const rest = { textField: 'text', skipBadLines: false, contextSize }
  return { kind: 'tokenize', tokenizationId: newId('tokenization'), modelDir, ...rest, ...options }
}

export function trainSpec(options: { stores: string[]; cacheDir: string; out: string }): TrainSpec {
  const settings = { k: 8, normalisation: 'expected_average' }
  return {
    kind: 'train',
    trainingId: newId('training'),
    modelDirs: [modelDir],
    modelName: 'mistudio-demo',
    datasetNames: options.stores.map((_, i) => `text ${i}`),
    datasetWeights: null,
    members: membersOf({
      family: 'topk',
      inputs: ['blocks.0.hook_resid_post', 'blocks.0.hook_mlp_out'],
      dSae: 512,
      settings,
    }),
    hyperparameters: {
      family: 'topk',
      recipe: null,
      d_sae: 512,
      settings,
      train_tokens: 100 * 256,
      batch_size: 256,
      context_size: contextSize,
      seed: 3,
      run: {},
    },
    checkpointEverySteps: 20,
    ...options,
  }
}

export function extractSpec(options: {
  saeDir: string
  stores: string[]
  cacheDir: string
  out: string
}): ExtractSpec {
  const config = {
    max_tokens: 30_000,
    examples_per_feature: 5,
    split: 'train',
    context_prefix_tokens: 6,
    context_suffix_tokens: 3,
    auto_nlp: true,
    seed: 1,
    context_size: contextSize,
  } as const
  return { kind: 'extract', extractionId: newId('extraction'), modelDir, config, ...options }
}

/**
 * Runs a spec in a process of its own; every event must have the contract's fields once the host's are added.
 * @param onEvent may stop or kill the runner
 */
export async function run(
  spec: RunnerSpec,
  onEvent: (event: RunnerEvent, runner: Runner) => void = () => {},
): Promise<{ events: RunnerEvent[]; end: RunnerEnd; runner: Runner }> {
  mkdirSync((spec as { out: string }).out, { recursive: true })
  const events: RunnerEvent[] = []
  const runner: Runner = await startRunner({
    spec,
    threads: 2,
    onMessage(event) {
      events.push(event)
      onEvent(event, runner)
    },
  })
  const end = await runner.ended
  for (const event of events) judge(event)
  return { events, end, runner }
}

function judge({ event, data }: RunnerEvent): void {
  switch (event) {
    case 'tokenization:progress':
      eventData[event].parse({ ...data, status: 'tokenizing' })
      return
    case 'training:progress':
    case 'training:checkpoint':
      eventData[event].parse({ ...data, status: 'running' })
      return
    default:
      eventData[event].parse({
        ...data,
        status: 'extracting',
        nlp_status: 'pending',
        stage: 'EXTRACTING',
      })
  }
}

/** SHA-256 of each SAE's weights in a run, by hook point. */
export function weightsOf(run: string, hookPoints: readonly string[]): string[] {
  return hookPoints.map(hook => {
    const [file] = readdirSync(join(run, hook)).filter(name => name.endsWith('.safetensors'))
    return createHash('sha256')
      .update(readFileSync(join(run, hook, file)))
      .digest('hex')
  })
}

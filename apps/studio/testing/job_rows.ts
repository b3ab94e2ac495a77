// Rows and runners for tests of the host: a model, a dataset and SAEs that nothing computes, and runners that end as
// a test says.
import { hookPointOf } from '@mistudio/contract'
import type { Database } from '../src/db/connect.ts'
import { datasets, extractions, jobs, models, saes, tokenizations, trainings } from '../src/db/schema.ts'
import { newJob } from '../src/domain/jobs/job.ts'
import { newId } from '../src/ids.ts'
import type { RunnerEnd, StartRunner } from '../src/jobs/runner.ts'
import type { HostMessage, RunnerEvent, RunnerResult, RunnerSpec } from '../src/runners/spec.ts'

export type FakeRunner = {
  spec: RunnerSpec
  stopped: boolean
  killed: boolean
  emit(event: RunnerEvent): void
  end(end: RunnerEnd): void
}

/** `onStart` is told of every runner, in order; it decides how each ends. */
export function fakeRunners(onStart: (runner: FakeRunner) => void): {
  startRunner: StartRunner
  runners: FakeRunner[]
} {
  const runners: FakeRunner[] = []
  const startRunner: StartRunner = async ({ spec, onMessage, beforeSpec }) => {
    const { promise, resolve } = Promise.withResolvers<RunnerEnd>()
    const runner: FakeRunner = {
      spec,
      stopped: false,
      killed: false,
      emit: onMessage,
      end: resolve,
    }
    runners.push(runner)
    // No process of this machine: the host must not find anything to end.
    const handle = { pid: 2 ** 22 + runners.length, startedAt: `fake-${runners.length}` }
    await beforeSpec?.(handle)
    setTimeout(() => onStart(runner), 1)
    return {
      ...handle,
      stop() {
        runner.stopped = true
        onStart(runner)
      },
      kill() {
        runner.killed = true
        resolve({ kind: 'crashed', message: 'SIGKILL' })
      },
      ended: promise,
    }
  }
  return { startRunner, runners }
}

export const crashed: RunnerEnd = { kind: 'crashed', message: 'it ended by the signal SIGKILL' }
export const failed = (message: string): RunnerEnd => ({ kind: 'failed', message })
export const result = (value: RunnerResult): RunnerEnd => ({ kind: 'result', result: value })

export type { HostMessage }

/** A model, a tokenized dataset and `count` SAEs. */
export async function seedProject(options: { db: Database; saeCount: number }) {
  const { db, saeCount } = options
  const modelId = newId('model')
  const datasetId = newId('dataset')
  await db.insert(models).values({
    id: modelId,
    name: 'Tiny',
    source: 'local',
    path: 'models/tiny',
    architecture: 'llama',
    status: 'ready',
    params_count: 1,
    layers: 4,
    d_model: 8,
    vocab_size: 16,
    context_length: 32,
    hook_types: ['resid_post'],
  })
  await db.insert(datasets).values({
    id: datasetId,
    name: 'Text',
    source: 'upload',
    format: 'txt',
    status: 'ready',
    path: `datasets/${datasetId}/text.txt`,
    size_bytes: 1,
    documents: 1,
  })
  await db.insert(tokenizations).values({
    id: newId('tokenization'),
    dataset_id: datasetId,
    model_id: modelId,
    context_size: 16,
    status: 'ready',
    path: 'tokenizations/x/store',
  })
  const saeIds: string[] = []
  for (let layer = 0; layer < saeCount; layer++) {
    const id = newId('sae')
    saeIds.push(id)
    await db.insert(saes).values({
      id,
      name: `SAE ${layer}`,
      source: 'folder',
      model_id: modelId,
      hook_point: hookPointOf({ layer, hookType: 'resid_post' }),
      architecture: 'topk',
      d_in: 8,
      d_sae: 16,
      k: 2,
      status: 'ready',
      path: `saes/${id}`,
    })
  }
  return { modelId, datasetId, saeIds }
}

export type Project = Awaited<ReturnType<typeof seedProject>>

/** A batch as a request makes it. @returns ids of extractions and of their jobs */
export async function seedBatch(options: { db: Database; project: Project; nlp: boolean[] }) {
  const { db, project, nlp } = options
  const members: { extraction: string; extract: string; nlp: string | null }[] = []
  let last: string | undefined
  for (const [i, withNlp] of nlp.entries()) {
    const extraction = newId('extraction')
    const entity = `extraction/${extraction}`
    const extract = newJob({
      kind: 'extract',
      entity,
      title: `Extract ${i}`,
      after: last === undefined ? [] : [last],
    })
    const analyse = withNlp
      ? newJob({ kind: 'nlp', entity, title: `Analyse ${i}`, needs: [extract.id] })
      : undefined
    last = analyse?.id ?? extract.id
    await db.insert(extractions).values({
      id: extraction,
      sae_id: project.saeIds[i],
      model_id: project.modelId,
      dataset_ids: [project.datasetId],
      config: {
        max_tokens: 100,
        context_size: 16,
        examples_per_feature: 5,
        split: 'train',
        context_prefix_tokens: 2,
        context_suffix_tokens: 2,
        auto_nlp: withNlp,
        seed: 0,
      },
      status: 'queued',
      nlp_status: withNlp ? 'pending' : null,
      batch_position: i + 1,
      batch_total: nlp.length,
      job_id: extract.id,
      nlp_job_id: analyse?.id ?? null,
    })
    await db.insert(jobs).values([extract, ...(analyse === undefined ? [] : [analyse])])
    members.push({ extraction, extract: extract.id, nlp: analyse?.id ?? null })
  }
  return members
}

export async function seedTraining(options: { db: Database; project: Project }) {
  const { db, project } = options
  const id = newId('training')
  const job = newJob({ kind: 'train', entity: `training/${id}`, title: 'Train' })
  await db.insert(trainings).values({
    id,
    name: 'Training',
    model_id: project.modelId,
    dataset_ids: [project.datasetId],
    layers: [0],
    hook_types: ['resid_post'],
    hyperparameters: {
      family: 'topk',
      recipe: null,
      d_sae: 16,
      settings: { k: 2, normalisation: 'none' },
      train_tokens: 1000,
      batch_size: 10,
      context_size: 16,
      seed: 0,
      run: {},
    },
    status: 'pending',
    saes: [],
    job_id: job.id,
  })
  await db.insert(jobs).values(job)
  return { id, job: job.id }
}

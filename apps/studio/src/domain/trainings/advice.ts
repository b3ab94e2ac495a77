// Advice before a training: its members are planned as if it began, this machine is asked what is free, and, once for
// each model and kind of SAE, measured by a process of its own.
import { statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import type { Advice, TrainingRequest } from '@mistudio/contract'
import {
  adviseTraining,
  completeRun,
  type GivenRun,
  type Probe,
  readFields,
  runFields,
  type Advice as SaeAdvice,
} from '@mistudio/training'
import { eq } from 'drizzle-orm'
import { jobs, models } from '../../db/schema.ts'
import { notFound, ProblemError } from '../../problem.ts'
import type { ProbeSpec } from '../../runners/spec.ts'
import type { Services } from '../services.ts'
import { readyStores } from '../tokenizations/ready.ts'
import { checkHooks } from './checks.ts'
import { type PlannedMember, planMembers, resolveHyperparameters } from './members.ts'

type Asked = Omit<TrainingRequest, 'name'> & { probe: boolean }

/** @throws ProblemError as creating the training would, but for size */
export async function adviceFor(services: Services, asked: Asked): Promise<Advice> {
  const running = await services.db.$count(jobs, eq(jobs.status, 'running'))
  const memoryBytes = process.availableMemory()
  return { ...(await reckon(services, asked, memoryBytes)), busy: running > 0 }
}

/**
 * @throws ProblemError, naming what would fit, for a training that this machine has no room for. While a job runs its memory
 * counts as free: the training waits for its end.
 */
export async function refuseUnfit(services: Services, request: TrainingRequest): Promise<void> {
  const running = await services.db.$count(jobs, eq(jobs.status, 'running'))
  const memoryBytes = running > 0 ? wholeMemory() : process.availableMemory()
  const { refusal, suggestions } = await reckon(services, { ...request, probe: false }, memoryBytes)
  if (refusal === null) return
  const fields = suggestions.map(({ field }) => (field === 'members' ? field : `hyperparameters.${field}`))
  throw new ProblemError('invalid', {
    title: 'this training does not fit this machine',
    field: fields.join(', ') || 'hyperparameters.d_sae',
    found: refusal,
    expected: suggestions.map(({ field, value }) => `${field} at most ${value}`).join(', or ') || 'less',
  })
}

/** Of the machine, or of the container around this process. */
function wholeMemory(): number {
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

async function reckon(services: Services, asked: Asked, memoryBytes: number): Promise<SaeAdvice> {
  const { db, storage } = services
  const [model] = await db.select().from(models).where(eq(models.id, asked.model_id))
  if (model === undefined) throw notFound('model', asked.model_id, 'model_id')
  const hyperparameters = resolveHyperparameters(asked.hyperparameters)
  const { layers, hook_types, output_hook_type } = asked
  checkHooks({ layers, hookTypes: hook_types, outputHookType: output_hook_type, model })
  const widthOf = () => model.d_model
  const plan = (changes: { dSaeScale: number; batchSize: number }) => {
    const d_sae = Math.floor(hyperparameters.d_sae * changes.dSaeScale)
    const changed = { ...hyperparameters, d_sae, batch_size: changes.batchSize }
    return planMembers({ asked: { ...asked, hyperparameters: changed }, widthOf })
  }
  const planned = plan({ dSaeScale: 1, batchSize: hyperparameters.batch_size })
  const {
    context_size: contextSize,
    train_tokens: trainTokens,
    batch_size: batchSize,
    seed,
  } = hyperparameters
  const given: GivenRun = { ...readFields(runFields, hyperparameters.run), trainTokens, batchSize, seed }
  const run = completeRun(given, { contextSize, contexts: Number.MAX_SAFE_INTEGER / contextSize })
  const probe = await probeOf(services, { asked, model, planned, contextSize, run })
  const disk = await statfs(storage.dataDir)
  return adviseTraining({
    members: planned.map(({ complete }) => complete),
    run: { ...run, contextSize },
    modelBytes: model.params_count * 4,
    workers: services.threads ?? availableParallelism(),
    machine: { memoryBytes, diskBytes: disk.bavail * disk.bsize },
    probe,
    replan: sizes => plan(sizes).map(({ complete }) => complete),
  })
}

type Model = typeof models.$inferSelect

/** What was measured, by what it depends on; the newest few. */
const measured = new Map<string, Probe>()
const remembered = 50
let measuring: Promise<unknown> = Promise.resolve()

async function probeOf(
  services: Services,
  options: {
    asked: Asked
    model: Model
    planned: PlannedMember[]
    contextSize: number
    run: { batchSize: number; totalSteps: number }
  },
): Promise<Probe | null> {
  const { asked, model, planned, contextSize, run } = options
  const { dataset_ids = asked.dataset_id === undefined ? [] : [asked.dataset_id] } = asked
  const datasetIds = [...new Set(dataset_ids)]
  // Those that are there already.
  const ready = await readyStores(services.db, { datasetIds, modelId: model.id, contextSize })
  const stores = ready.flatMap(store => (store === undefined ? [] : [services.storage.resolve(store.path)]))
  const kinds = planned.map(({ complete: { plan, hooks } }) => [
    hooks,
    plan.selection.kind,
    plan.auxK !== null,
  ])
  const key = JSON.stringify([
    model.id,
    contextSize,
    stores.length > 0,
    [...new Set(kinds.map(kind => JSON.stringify(kind)))],
  ])
  const known = measured.get(key)
  if (known !== undefined || !asked.probe) return known ?? null
  const { host, storage } = services
  const { batchSize, totalSteps } = run
  const spec: ProbeSpec = {
    kind: 'probe',
    modelDirs: [storage.modelDir(model.path)],
    cacheDir: storage.cacheDir,
    stores,
    members: planned.map(({ member }) => member),
    contextSize,
    batchSize,
    totalSteps,
  }
  const work = measuring.then(() => measured.get(key) ?? host.measure(spec))
  // One at a time, whatever became of the one before.
  measuring = work.catch(() => undefined)
  const probe = await work
  if (probe !== null) {
    measured.set(key, probe)
    if (measured.size > remembered) measured.delete(measured.keys().next().value!)
  }
  return probe
}

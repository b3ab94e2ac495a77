// The demo project, made by the same functions as a person's requests: on a new data folder the demo's model, texts
// and a training; when that is completed, its SAEs are imported and their features extracted. What was done is read
// from the rows, so that an end at any point is gone on from; `demo.json` remembers that there is nothing left to do,
// also when a person has deleted some of it since.
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { channelOf, idOf, isTerminal, type TrainingRequest, trainingMachine } from '@mistudio/contract'
import { writeFileAtomic } from '@mistudio/files'
import { and, eq, inArray } from 'drizzle-orm'
import { z } from 'zod'
import { datasets, extractions, models, saes, trainings } from './db/schema.ts'
import { createDataset } from './domain/datasets/create.ts'
import { createExtractions } from './domain/extractions/plan.ts'
import { createModel } from './domain/models/create.ts'
import { importTrained } from './domain/saes/import_trained.ts'
import type { Services } from './domain/services.ts'
import { createTraining } from './domain/trainings/plan.ts'
import { demoAssets, demoModelPath } from './storage.ts'

/** What `mistudio demo` does as well: apps/cli/src/commands/demo/recipe.ts; a test there compares the two. */
export const demoRecipe = {
  datasets: ['scripture', 'dictionary', 'programming', 'databases'],
  training: {
    name: 'Demo',
    layers: [2, 4],
    hook_types: ['resid_post', 'mlp_out'],
    hyperparameters: {
      family: 'topk',
      recipe: null,
      d_sae: 4096,
      settings: { k: 32, learning_rate: 1e-3, normalisation: 'expected_average' },
      train_tokens: 1_048_576,
      batch_size: 1024,
      context_size: 128,
      seed: 0,
      run: {},
    },
    output_hook_type: null,
    dataset_weights: null,
    sweep: {},
  } satisfies Omit<TrainingRequest, 'model_id' | 'dataset_ids'>,
  extraction: {
    max_tokens: 262_144,
    examples_per_feature: 20,
    split: 'train',
    context_prefix_tokens: 24,
    context_suffix_tokens: 16,
    auto_nlp: true,
    seed: 0,
  },
} as const

/** A smaller demo, for tests; the rest is the recipe's. `documents`: of each text, from its first. */
export type DemoSize = {
  dSae: number
  k: number
  trainTokens: number
  maxTokens: number
  documents: number
}

const progressFile = z.discriminatedUnion('step', [
  z.object({ step: z.literal('training'), training_id: idOf('training') }),
  z.object({ step: z.literal('done') }),
])
type Progress = z.infer<typeof progressFile>

/**
 * Begins the demo project or goes on with it, in the background once its training runs.
 * @returns ends the watching, once what was begun is done
 */
export async function startDemo(services: Services, size?: DemoSize): Promise<() => Promise<void>> {
  const { log, onError } = services
  let unsubscribe = () => {}
  // One look after the other: two at once would extract twice.
  let looking = Promise.resolve()
  const look = (id: string) => {
    looking = looking
      .then(() => finish(services, id, size))
      .then(done => done && unsubscribe())
      .catch(onError)
      .then(() => undefined)
    return looking
  }
  try {
    const progress = readProgress(services) ?? (await begin(services, size))
    if (progress.step === 'training') {
      const { training_id: id } = progress
      unsubscribe = await log.subscribe({
        channel: channelOf.training(id),
        onMessage: ({ event }) => void (event !== 'training:progress' && look(id)),
        onError,
      })
      // Also where its events are gone, with the training.
      await look(id)
    }
  } catch (error) {
    // A studio without its demo is a studio.
    onError(error)
  }
  return async () => {
    unsubscribe()
    await looking
  }
}

/** @returns the training, which may have been there already */
async function begin(services: Services, size?: DemoSize): Promise<Progress> {
  const { db } = services
  const datasetIds: string[] = []
  for (const name of demoRecipe.datasets) {
    const [known] = await db
      .select()
      .from(datasets)
      .where(and(eq(datasets.source, 'demo'), eq(datasets.name, name)))
    datasetIds.push(known?.id ?? (await addDataset(services, name, size?.documents)))
  }
  const [model] = await db.select().from(models).where(eq(models.source, 'demo'))
  const modelId = model?.id ?? (await createModel(services, { path: demoModelPath })).id
  const { name } = demoRecipe.training
  const [training] = await db
    .select()
    .from(trainings)
    .where(and(eq(trainings.model_id, modelId), eq(trainings.name, name)))
  const request: TrainingRequest = {
    ...structuredClone(demoRecipe.training),
    model_id: modelId,
    dataset_ids: datasetIds,
  }
  if (size !== undefined) {
    const { hyperparameters } = request
    Object.assign(hyperparameters, { d_sae: size.dSae, train_tokens: size.trainTokens })
    hyperparameters.settings.k = size.k
  }
  const training_id = training?.id ?? (await createTraining(services, request))
  return writeProgress(services, { step: 'training', training_id })
}

async function addDataset(services: Services, name: string, documents?: number): Promise<string> {
  const path = join(demoAssets, 'datasets', `${name}.jsonl`)
  const first = () =>
    Readable.from([Buffer.from(readFileSync(path, 'utf8').split('\n', documents).join('\n'))])
  const { id } = await createDataset(services, {
    source: documents === undefined ? createReadStream(path) : first(),
    fileName: `${name}.jsonl`,
    origin: 'demo',
    name,
    textField: 'text',
    skipBadLines: false,
  })
  return id
}

/** @returns whether there is nothing left to do */
async function finish(services: Services, trainingId: string, size?: DemoSize): Promise<boolean> {
  const { db } = services
  if (readProgress(services)?.step === 'done') return true
  const [training] = await db.select().from(trainings).where(eq(trainings.id, trainingId))
  if (training !== undefined && !isTerminal(trainingMachine, training.status)) return false
  // A person who stopped it has other plans.
  if (training?.status === 'completed') {
    await importTrained(services, { trainingId })
    const imported = await db.select().from(saes).where(eq(saes.training_id, trainingId))
    const ids = training.saes
      .map(member => imported.find(sae => sae.member === member.name)?.id)
      .filter(id => id !== undefined)
    const begun = await db.$count(extractions, inArray(extractions.sae_id, ids))
    if (ids.length > 0 && begun === 0) {
      await createExtractions(services, {
        sae_ids: ids,
        dataset_ids: training.dataset_ids,
        config: { ...demoRecipe.extraction, ...(size !== undefined && { max_tokens: size.maxTokens }) },
      })
    }
  }
  writeProgress(services, { step: 'done' })
  return true
}

const fileOf = ({ storage }: Services) => join(storage.dataDir, 'demo.json')

/** @returns undefined for a folder without a demo, or a file that says nothing of use: the rows say the rest */
function readProgress(services: Services): Progress | undefined {
  try {
    return progressFile.parse(JSON.parse(readFileSync(fileOf(services), 'utf8')))
  } catch {
    return undefined
  }
}

function writeProgress<P extends Progress>(services: Services, progress: P): P {
  writeFileAtomic(fileOf(services), `${JSON.stringify(progress, null, 2)}\n`)
  return progress
}

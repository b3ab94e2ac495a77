// kill -9 of the studio or of its runner at random moments of a training and of a batch: whatever was hit, all ends
// right after a restart, nothing is done twice or lost, no process is left over, and every row that was acknowledged
// is there. Used by tests/studio_kills.test.ts (three kills) and bench/studio_kills.ts (twenty of each).
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client, Extraction, StudioEvent, Training } from '@mistudio/contract'
import { openExtraction } from '@mistudio/feature'
import { randomStream } from '@mistudio/tensor'
import { isRunner, type StudioProcess, startStudioProcess, until } from './studio_process.ts'

export type Scenario = 'training' | 'batch'
export type Victim = 'server' | 'runner'
/** `attempts` of each job: more than one where the kill hit its work. */
export type StudioKill = { scenario: Scenario; victim: Victim; atMs: number; attempts: number[] }

export type KillSizes = {
  /** Words of the text that is trained on. */
  words: number
  dSae: number
  trainTokens: number
  batchSize: number
  contextSize: number
  maxTokens: number
}

/**
 * @param options.dataDir an empty folder
 * @param options.modelDir a small model
 * @param options.plan scenario and victim of each kill
 * @throws Error saying what was not right after a kill
 */
export async function studioKillLoop(options: {
  dataDir: string
  modelDir: string
  plan: readonly { scenario: Scenario; victim: Victim }[]
  seed: number
  sizes: KillSizes
  onKill?: (kill: StudioKill) => void
}): Promise<StudioKill[]> {
  const { dataDir, modelDir, plan, seed, sizes, onKill } = options
  const draw = randomStream({ seed, purpose: 'moments of kills of the studio' })
  let studio = await startStudioProcess({ dataDir })
  try {
    const project = await makeProject({ client: studio.client, modelDir, sizes })
    const reference = await measure({ studio, dataDir, project })
    const kills: StudioKill[] = []
    for (let runs = 0; kills.length < plan.length; runs++) {
      if (runs === 3 * plan.length) throw new Error(`only ${kills.length} of ${runs} runs could be killed`)
      const { scenario, victim } = plan[kills.length]
      const begun = await begin(scenario, studio.client, project)
      // From the request to the end: queue, start, work, writing and the last transactions are all hit.
      const atMs = Math.round(draw() * reference.ms[scenario])
      const writing = acknowledgeRows(studio.client)
      await new Promise(resolve => setTimeout(resolve, atMs))
      // Between two jobs there is no runner to kill: then it is the next one, in its first moments.
      const runners =
        victim === 'server'
          ? studio.runners()
          : await until(studio.runners, found => found.length > 0, 5).catch(() => [])
      if (victim === 'server') await studio.kill()
      else for (const pid of runners) process.kill(pid, 'SIGKILL')
      const acknowledged = await writing.stop()
      if (victim === 'server') {
        studio = await startStudioProcess({ dataDir })
        // Its channel closed, or the new server ended it before the job went on.
        await until(
          () => runners.filter(isRunner),
          alive => alive.length === 0,
        )
      }
      const attempts = await finish({ begun, studio, dataDir, reference })
      await checkRows(studio.client, acknowledged)
      // Too late to hit anything: the machine is faster than it was for the run that was left alone.
      if (attempts.every(count => count === 1)) reference.ms[scenario] *= 0.85
      // No runner was there any more: that was no kill, and another moment is drawn.
      if (victim === 'runner' && runners.length === 0) continue
      kills.push({ scenario, victim, atMs, attempts })
      onKill?.(kills.at(-1)!)
    }
    return kills
  } finally {
    await studio.end()
  }
}

type Project = {
  training: Parameters<Client['createTraining']>[0]['body']
  saeIds: string[]
  datasetId: string
  sizes: KillSizes
}
type Begun = { scenario: 'training'; id: string } | { scenario: 'batch'; ids: string[] }
type Reference = { ms: Record<Scenario, number>; weights: string; features: number[] }

async function makeProject(options: {
  client: Client
  modelDir: string
  sizes: KillSizes
}): Promise<Project> {
  const { client, modelDir, sizes } = options
  const model = await client.createModel({ body: { path: modelDir } })
  const dataset = await client.uploadDataset({
    file: new Blob([textOf(sizes.words)]),
    fileName: 'text.jsonl',
  })
  const training = {
    model_id: model.id,
    dataset_ids: [dataset.id],
    layers: [0, 1],
    hook_types: ['resid_post' as const],
    hyperparameters: {
      d_sae: sizes.dSae,
      k: 8,
      train_tokens: sizes.trainTokens,
      batch_size: sizes.batchSize,
      context_size: sizes.contextSize,
    },
  }
  return { training, saeIds: [], datasetId: dataset.id, sizes }
}

/** Documents of made-up words, the same every time. */
function textOf(words: number): string {
  const draw = randomStream({ seed: 7, purpose: 'text' })
  const vocabulary = Array.from({ length: 300 }, (_, i) => `w${(i * 7919) % 1000}`)
  const lines: string[] = []
  for (let done = 0; done < words; done += 200) {
    const text = Array.from({ length: 200 }, () => vocabulary[Math.floor(draw() * vocabulary.length)])
    lines.push(JSON.stringify({ text: text.join(' ') }))
  }
  return `${lines.join('\n')}\n`
}

async function begin(scenario: Scenario, client: Client, project: Project): Promise<Begun> {
  if (scenario === 'training')
    return { scenario, id: (await client.createTraining({ body: project.training })).id }
  const config = { max_tokens: project.sizes.maxTokens, examples_per_feature: 5 }
  const body = { sae_ids: project.saeIds, dataset_ids: [project.datasetId], config }
  const { created } = await client.createExtractions({ body })
  return { scenario, ids: created.map(({ id }) => id) }
}

/** One run of each, left alone. */
async function measure(options: {
  studio: StudioProcess
  dataDir: string
  project: Project
}): Promise<Reference> {
  const { studio, dataDir, project } = options
  const { client } = studio
  const ms = { training: 0, batch: 0 }
  // The first training tokenizes as well; the second is timed.
  const first = await begin('training', client, project)
  if (first.scenario !== 'training') throw new Error('unreachable')
  await trainingEnd(client, first.id)
  const weights = weightsOf(dataDir, await client.getTraining({ params: { id: first.id } }))
  const { imported } = await client.importSaes({ body: { training_id: first.id } })
  project.saeIds = imported.map(({ id }) => id)
  let began = performance.now()
  const second = await begin('training', client, project)
  if (second.scenario === 'training') await trainingEnd(client, second.id)
  ms.training = performance.now() - began
  began = performance.now()
  const batch = await begin('batch', client, project)
  if (batch.scenario !== 'batch') throw new Error('unreachable')
  const done = await batchEnd(client, batch.ids)
  ms.batch = performance.now() - began
  const features = await Promise.all(done.map(extraction => featureRows(client, extraction.id)))
  for (const extraction of done) await client.deleteExtraction({ params: { id: extraction.id } })
  return { ms, weights, features }
}

const trainingEnd = (client: Client, id: string) =>
  until(
    () => client.getTraining({ params: { id } }),
    ({ status }) => status === 'completed' || status === 'failed' || status === 'cancelled',
  )

const batchEnd = (client: Client, ids: string[]) =>
  until(
    () => Promise.all(ids.map(id => client.getExtraction({ params: { id } }))),
    all => all.every(({ stage }) => stage === 'COMPLETED' || stage === 'FAILED' || stage === 'CANCELLED'),
  )

const featureRows = async (client: Client, id: string) =>
  (await client.listFeatures({ query: { extraction_id: id, limit: 1 } })).pagination.total

/** @returns attempts of each job */
async function finish(options: {
  begun: Begun
  studio: StudioProcess
  dataDir: string
  reference: Reference
}): Promise<number[]> {
  const { begun, studio, dataDir, reference } = options
  const { client, url } = studio
  if (begun.scenario === 'training') {
    const training = await trainingEnd(client, begun.id)
    if (training.status !== 'completed')
      throw new Error(`the training is ${training.status}: ${training.error_message}`)
    if (weightsOf(dataDir, training) !== reference.weights) throw new Error('the weights are others')
    await checkEvents(url, `training/${begun.id}`, 'training:completed')
    const { attempt } = await client.getJob({ params: { id: training.job_id! } })
    await client.deleteTraining({ params: { id: begun.id } })
    return [attempt]
  }
  const all = await batchEnd(client, begun.ids)
  const attempts: number[] = []
  for (const [i, extraction] of all.entries()) {
    const { id, status, nlp_status, stage, error_message, nlp_error_message } = extraction
    if (status !== 'completed' || nlp_status !== 'completed') {
      throw new Error(`${stage} ${status} ${nlp_status}: ${error_message ?? nlp_error_message}`)
    }
    const rows = await featureRows(client, id)
    if (rows !== reference.features[i]) throw new Error(`${rows} features, not ${reference.features[i]}`)
    await checkHeap(dataDir, extraction)
    await checkEvents(url, `extraction/${id}`, 'extraction:completed')
    attempts.push((await client.getJob({ params: { id: extraction.job_id! } })).attempt)
  }
  const starts = all.map(({ started_at }) => started_at!)
  if ([...starts].sort().join() !== starts.join())
    throw new Error(`not one after the other: ${starts.join(', ')}`)
  for (const { id } of all) await client.deleteExtraction({ params: { id } })
  return attempts
}

/** SHA-256 of all SAEs of a training. */
function weightsOf(dataDir: string, { id }: Training): string {
  const folder = join(dataDir, 'trainings', id)
  const hash = createHash('sha256')
  const attempts = readdirSync(folder)
  if (attempts.length !== 1) throw new Error(`attempts left: ${attempts.join(', ')}`)
  const run = join(folder, attempts[0], 'run')
  for (const name of readdirSync(run).sort()) {
    const file = join(run, name, 'sae_weights.safetensors')
    if (existsSync(file)) hash.update(name).update(readFileSync(file))
  }
  return hash.digest('hex')
}

/** The counters of the row are those of the examples on disk. */
async function checkHeap(dataDir: string, row: Extraction): Promise<void> {
  const folder = join(dataDir, 'extractions', row.id)
  const [attempt] = readdirSync(folder).filter(name => name.startsWith('attempt-'))
  const extraction = await openExtraction({ dir: join(folder, attempt, 'extraction') })
  try {
    let features = 0
    let examples = 0
    for await (const one of extraction.topExamples()) {
      features++
      examples += one.examples.length
    }
    if (features !== row.features_in_heap || examples !== row.heap_examples_count) {
      throw new Error(
        `${features} features and ${examples} examples on disk, ${row.features_in_heap} and ${row.heap_examples_count} in the row`,
      )
    }
  } finally {
    extraction.close()
  }
}

/** Numbers without a gap from 1, and the end said once. */
async function checkEvents(url: string, channel: string, last: string): Promise<void> {
  const events = await recordedEvents(url, channel, ({ event }) => event === last)
  const wrong = events.findIndex(({ seq }, i) => seq !== i + 1)
  if (wrong >= 0) throw new Error(`${channel}: event ${wrong + 1} has number ${events[wrong].seq}`)
  const ends = events.filter(({ event }) => event === last).length
  if (ends !== 1) throw new Error(`${channel}: ${ends} times ${last}`)
}

/** Reads a channel's events from the first, up to the one asked for. */
export async function recordedEvents(
  url: string,
  channel: string,
  end: (event: StudioEvent) => boolean,
): Promise<StudioEvent[]> {
  const abort = new AbortController()
  const response = await fetch(`${url}/api/v1/events?channel=${encodeURIComponent(channel)}&after=0`, {
    signal: abort.signal,
  })
  const events: StudioEvent[] = []
  let text = ''
  try {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const blocks = text.split('\n\n')
      text = blocks.pop()!
      for (const block of blocks) {
        const data = /^data: ?(.*)$/m.exec(block)?.[1]
        if (data === undefined) continue
        events.push(JSON.parse(data) as StudioEvent)
        if (end(events.at(-1)!)) return events
      }
    }
    throw new Error(`${channel} ended after ${events.length} events`)
  } finally {
    abort.abort()
  }
}

/** Writes rows until it is stopped. @returns ids of those that the server said it has */
function acknowledgeRows(client: Client): { stop(): Promise<string[]> } {
  const ids: string[] = []
  let going = true
  const config = { max_tokens: 1000 }
  const written = (async () => {
    while (going) {
      try {
        const { id } = await client.createTemplate({ params: { kind: 'extraction' }, body: { config } })
        ids.push(id)
      } catch {
        // The server was killed: this one was not acknowledged.
        return
      }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  })()
  return {
    async stop() {
      going = false
      await written
      return ids
    },
  }
}

async function checkRows(client: Client, ids: string[]): Promise<void> {
  const found = new Set<string>()
  for (let offset = 0; ; offset += 500) {
    const page = await client.listTemplates({ params: { kind: 'extraction' }, query: { limit: 500, offset } })
    for (const { id } of page.data) found.add(id)
    if (!page.pagination.has_more) break
  }
  const lost = ids.filter(id => !found.has(id))
  if (lost.length > 0) throw new Error(`${lost.length} of ${ids.length} acknowledged rows are gone`)
  for (const id of found) await client.deleteTemplate({ params: { kind: 'extraction', id } })
}

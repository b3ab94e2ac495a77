import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { afterEach, describe, expect, test } from 'vitest'
import { writeExtractionFolder } from '../../testing/artefacts.ts'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  crashed,
  type FakeRunner,
  failed,
  fakeRunners,
  type Project,
  result,
  seedBatch,
  seedProject,
  seedTraining,
} from '../../testing/job_rows.ts'
import { type OpenDatabase, openDatabase } from '../db/connect.ts'
import { events, extractions, features, jobs, trainings } from '../db/schema.ts'
import { createEventLog, type EventLog } from '../events/log.ts'
import { createStorage, type Storage } from '../storage.ts'
import { createJobHost, type JobHost } from './host.ts'

type World = {
  database: OpenDatabase
  log: EventLog
  storage: Storage
  project: Project
  host: JobHost
  runners: FakeRunner[]
  faults: unknown[]
  /** A host in place of this one, as after a restart. */
  follower(onStart: (runner: FakeRunner) => void): { host: JobHost; runners: FakeRunner[] }
}

const nlpOf = (feature: number) => ({
  feature,
  nlp: {
    examples: 1,
    summary: `Peaks on "zebra" (${feature}).`,
    peak_words: [],
    parts_of_speech: [],
    words: [],
    bigrams: [],
    trigrams: [],
    before: [],
    after: [],
  },
})

/** Ends every runner well, with the files of a real one. */
async function succeed(runner: FakeRunner): Promise<void> {
  const { spec } = runner
  switch (spec.kind) {
    case 'extract':
      await writeExtractionFolder({ dir: join(spec.out, 'extraction'), sourceFile: 'text.txt' })
      return runner.end(
        result({ kind: 'extract', features: 6, featuresAlive: 5, tokens: 60, complete: true }),
      )
    case 'nlp':
      writeFileSync(join(spec.out, 'nlp.jsonl'), `${JSON.stringify(nlpOf(3))}\n`)
      return runner.end(result({ kind: 'nlp', features: 1, complete: true }))
    case 'train':
      return runner.end(
        result({ kind: 'train', status: 'completed', step: 100, totalSteps: 100, tokens: 1000 }),
      )
    case 'tokenize': {
      const counts = { documents: 1, contexts: 1, tokens: 16 }
      const splits = { train: counts, held_out: counts }
      return runner.end(result({ kind: 'tokenize', vocabSize: 16, splits, badLines: 0 }))
    }
  }
}

describe.each(databaseTargets())('job host on $kind', target => {
  const closers: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function world(
    onStart: (runner: FakeRunner) => void,
    seed: (project: Project, database: OpenDatabase) => Promise<unknown> = async () => {},
  ): Promise<World> {
    const created = await target.create()
    const database = await openDatabase(created)
    closers.push(() => database.close())
    const log = createEventLog({ db: database.db })
    const storage = createStorage(created)
    const project = await seedProject({ db: database.db, saeCount: 4 })
    await seed(project, database)
    const faults: unknown[] = []
    const follower: World['follower'] = decide => {
      const { startRunner, runners } = fakeRunners(decide)
      const host = createJobHost({
        database,
        log,
        storage,
        startRunner,
        onError: error => faults.push(error),
      })
      closers.push(() => host.close())
      return { host, runners }
    }
    return { database, log, storage, project, faults, ...follower(onStart), follower }
  }

  const rowOf = async ({ database }: World, id: string) =>
    (await database.db.select().from(jobs).where(eq(jobs.id, id)))[0]
  const extractionOf = async ({ database }: World, id: string) =>
    (await database.db.select().from(extractions).where(eq(extractions.id, id)))[0]
  const trainingOf = async ({ database }: World, id: string) =>
    (await database.db.select().from(trainings).where(eq(trainings.id, id)))[0]
  /** Waits for what a host does by itself. */
  async function until<T>(look: () => Promise<T>, wanted: (value: T) => boolean): Promise<T> {
    for (let i = 0; i < 1000; i++) {
      const value = await look()
      if (wanted(value)) return value
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    throw new Error(`still ${JSON.stringify(await look())}`)
  }
  const statusOf = (one: World, id: string) => async () => (await rowOf(one, id)).status
  const ended = (status: string) => ['completed', 'failed', 'cancelled'].includes(status)

  test('an extraction becomes rows, its analysis joins them, and each is said once', async () => {
    const one = await world(runner => void succeed(runner))
    const [member] = await seedBatch({ db: one.database.db, project: one.project, nlp: [true] })
    await one.host.start()
    await until(statusOf(one, member.nlp!), ended)
    const row = await extractionOf(one, member.extraction)
    expect(row).toMatchObject({
      status: 'completed',
      nlp_status: 'completed',
      features: 6,
      features_alive: 5,
    })
    const found = await one.database.db
      .select()
      .from(features)
      .where(eq(features.extraction_id, member.extraction))
    expect(found.map(({ feature }) => feature).sort()).toEqual([1, 2, 3, 4, 5])
    expect(found.find(({ feature }) => feature === 3)).toMatchObject({ nlp_summary: 'Peaks on "zebra" (3).' })
    expect(found.find(({ feature }) => feature === 3)!.search_text).toContain('zebra')
    const told = await one.log.list({ channel: `extraction/${member.extraction}`, after: 0, limit: 100 })
    expect(told.map(({ event, data }) => [event, 'stage' in data ? data.stage : null])).toEqual([
      ['extraction:status', 'EXTRACTING'],
      ['extraction:completed', 'NLP_PENDING'],
      ['extraction:status', 'NLP_ANALYSIS'],
      ['extraction:status', 'COMPLETED'],
    ])
    expect(one.faults).toEqual([])
  })

  test('a batch goes on past a failed extraction, a failed analysis and one without', async () => {
    const one = await world(runner => {
      const layer = one.runners.filter(({ spec }) => spec.kind === 'extract').length
      if (runner.spec.kind === 'extract' && layer === 1) return runner.end(failed('its text is gone'))
      if (runner.spec.kind === 'nlp') return runner.end(failed('no words'))
      void succeed(runner)
    })
    const nlp = [true, true, false, true]
    const members = await seedBatch({ db: one.database.db, project: one.project, nlp })
    await one.host.start()
    await until(statusOf(one, members[3].nlp!), ended)
    const rows = await Promise.all(members.map(({ extraction }) => extractionOf(one, extraction)))
    expect(rows.map(({ status, nlp_status }) => [status, nlp_status])).toEqual([
      ['failed', 'cancelled'],
      ['completed', 'failed'],
      ['completed', null],
      ['completed', 'failed'],
    ])
    expect(rows[0].error_message).toBe('its text is gone')
    const told = await one.log.list({ channel: `extraction/${members[0].extraction}`, after: 0, limit: 100 })
    expect(told.find(({ event }) => event === 'extraction:failed')!.data).toMatchObject({
      status: 'failed',
      stage: 'FAILED',
      error_message: 'its text is gone',
      progress: 0,
      samples_processed: 0,
      features_in_heap: 0,
      heap_examples_count: 0,
      eta_seconds: null,
    })
    expect(rows[1].nlp_error_message).toBe('no words')
    expect(one.runners.map(({ spec }) => spec.kind)).toEqual([
      'extract',
      'extract',
      'nlp',
      'extract',
      'extract',
      'nlp',
    ])
  })

  test('a batch goes on past a cancelled member, whether it waited or ran', async () => {
    const one = await world(runner => {
      const position = one.runners.filter(({ spec }) => spec.kind === 'extract').length
      // The first member's extraction hangs until it is cancelled.
      if (position > 1 || runner.spec.kind !== 'extract') void succeed(runner)
    })
    const members = await seedBatch({ db: one.database.db, project: one.project, nlp: [true, true, true] })
    await one.host.start()
    await until(statusOf(one, members[0].extract), status => status === 'running')
    await one.host.cancel(members[1].extract)
    await until(
      async () => one.runners.length,
      count => count === 1,
    )
    await one.host.cancel(members[0].extract)
    await until(statusOf(one, members[2].nlp!), ended)
    const rows = await Promise.all(members.map(({ extraction }) => extractionOf(one, extraction)))
    expect(rows.map(({ status, nlp_status }) => [status, nlp_status])).toEqual([
      ['cancelled', 'cancelled'],
      ['cancelled', 'cancelled'],
      ['completed', 'completed'],
    ])
    expect(one.runners[0].killed).toBe(true)
    await expect(one.host.cancel(members[0].extract)).rejects.toMatchObject({
      problem: { status: 409, found: 'cancelled' },
    })
  })

  test('a killed runner is started again as the next attempt, five times at most', async () => {
    const one = await world(runner => {
      if (one.runners.length === 1) runner.end(crashed)
      else if ((runner.spec as { out: string }).out.includes('attempt-2')) void succeed(runner)
      else runner.end(crashed)
    })
    const [first, second] = await seedBatch({
      db: one.database.db,
      project: one.project,
      nlp: [false, false],
    })
    await one.host.start()
    await until(statusOf(one, first.extract), ended)
    expect(await rowOf(one, first.extract)).toMatchObject({ status: 'completed', attempt: 2, crashes: 1 })
    const folder = one.storage.resolve(`extractions/${first.extraction}`)
    await until(
      async () => readdirSync(folder),
      names => names.join() === 'attempt-2',
    )
    await until(statusOf(one, second.extract), ended)
    expect(await rowOf(one, second.extract)).toMatchObject({ status: 'completed', attempt: 2 })
    const third = await seedTraining({ db: one.database.db, project: one.project })
    await one.database.db.update(jobs).set({ attempt: 2 }).where(eq(jobs.id, third.job))
    one.host.wake()
    await until(statusOf(one, third.job), ended)
    expect(await rowOf(one, third.job)).toMatchObject({ status: 'failed', crashes: 5, attempt: 7 })
    expect((await trainingOf(one, third.id)).error_message).toContain('5 times')
  })

  test('a host that died in the middle leaves nothing that its follower does not finish', async () => {
    const one = await world(() => {})
    const members = await seedBatch({ db: one.database.db, project: one.project, nlp: [true, true] })
    await one.host.start()
    await until(statusOf(one, members[0].extract), status => status === 'running')
    // The first host is not closed: it has died, as far as its follower can know.
    const after = one.follower(runner => void succeed(runner))
    await after.host.start()
    await until(statusOf(one, members[1].nlp!), ended)
    expect(await rowOf(one, members[0].extract)).toMatchObject({ status: 'completed', attempt: 2 })
    // What the runner of the dead host still says changes nothing.
    one.runners[0].end(failed('too late'))
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(await extractionOf(one, members[0].extraction)).toMatchObject({ status: 'completed' })
    const told = await one.log.list({ channel: `extraction/${members[0].extraction}`, after: 0, limit: 100 })
    expect(told.filter(({ event }) => event === 'extraction:completed').length).toBe(1)
    const rows = await one.database.db
      .select()
      .from(features)
      .where(eq(features.extraction_id, members[0].extraction))
    expect(rows.length).toBe(5)
  })

  test('a training pauses, resumes, and stops with what it has', async () => {
    const one = await world(runner => {
      if (runner.stopped) {
        runner.end(result({ kind: 'train', status: 'stopped', step: 10, totalSteps: 100, tokens: 100 }))
      }
    })
    const { id, job } = await seedTraining({ db: one.database.db, project: one.project })
    await one.host.start()
    await until(statusOf(one, job), status => status === 'running')
    await one.host.pause(job)
    await until(statusOf(one, job), status => status === 'paused')
    expect((await trainingOf(one, id)).status).toBe('paused')
    await expect(one.host.pause(job)).rejects.toMatchObject({ problem: { status: 409, found: 'paused' } })
    await one.host.resume(job)
    await until(statusOf(one, job), status => status === 'running')
    await until(
      async () => one.runners.length,
      count => count === 2,
    )
    await one.host.stop(job, { keep: true })
    await until(statusOf(one, job), ended)
    expect(await trainingOf(one, id)).toMatchObject({
      status: 'cancelled',
      kept: true,
      path: `trainings/${id}/attempt-2/run`,
    })
    await expect(one.host.resume(job)).rejects.toMatchObject({ problem: { status: 409 } })
    for (const keep of [true, false]) {
      await expect(one.host.stop(job, { keep })).rejects.toMatchObject({ problem: { status: 409 } })
    }
  })

  test('a training that waits or is paused is stopped without a runner; only one that ran has something to keep', async () => {
    const one = await world(runner => {
      if (runner.stopped) {
        runner.end(result({ kind: 'train', status: 'stopped', step: 10, totalSteps: 100, tokens: 100 }))
      }
    })
    const { db } = one.database
    const [first, second, third] = [
      await seedTraining({ db, project: one.project }),
      await seedTraining({ db, project: one.project }),
      await seedTraining({ db, project: one.project }),
    ]
    await one.host.stop(third.job, { keep: true })
    expect(await trainingOf(one, third.id)).toMatchObject({ status: 'cancelled', path: null })
    await one.host.start()
    await until(statusOf(one, first.job), status => status === 'running')
    await one.host.pause(second.job)
    expect((await trainingOf(one, second.id)).status).toBe('paused')
    await one.host.stop(second.job, { keep: true })
    expect(await trainingOf(one, second.id)).toMatchObject({ status: 'cancelled', path: null })
    await one.host.pause(first.job)
    await until(statusOf(one, first.job), status => status === 'paused')
    await one.host.stop(first.job, { keep: true })
    expect(await trainingOf(one, first.id)).toMatchObject({
      status: 'cancelled',
      path: `trainings/${first.id}/attempt-1/run`,
    })
  })

  test('a host that closes puts its training back, and the next one goes on', async () => {
    const one = await world(runner => {
      if (runner.stopped) {
        runner.end(result({ kind: 'train', status: 'stopped', step: 10, totalSteps: 100, tokens: 100 }))
      }
    })
    const { id, job } = await seedTraining({ db: one.database.db, project: one.project })
    await one.host.start()
    await until(statusOf(one, job), status => status === 'running')
    await one.host.close()
    expect(await rowOf(one, job)).toMatchObject({ status: 'queued', host: null, runner_pid: null })
    expect((await trainingOf(one, id)).status).toBe('pending')
    const after = one.follower(runner => void succeed(runner))
    await after.host.start()
    await until(statusOf(one, job), ended)
    expect(await trainingOf(one, id)).toMatchObject({ status: 'completed', progress: 1 })
  })

  test('a result whose files are not there fails its job, and the next one starts', async () => {
    const one = await world(runner => {
      if (runner.spec.kind === 'nlp') runner.end(result({ kind: 'nlp', features: 1, complete: true }))
      else void succeed(runner)
    })
    const members = await seedBatch({ db: one.database.db, project: one.project, nlp: [true, false] })
    await one.host.start()
    await until(statusOf(one, members[1].extract), ended)
    expect(await extractionOf(one, members[0].extraction)).toMatchObject({
      status: 'completed',
      nlp_status: 'failed',
      nlp_error_message: expect.stringContaining('nlp.jsonl'),
    })
  })

  test('a job of a host elsewhere is taken over when its lease has run out, and not before', async () => {
    const one = await world(runner => void succeed(runner))
    const members = await seedBatch({ db: one.database.db, project: one.project, nlp: [false] })
    const lease = (seconds: number) => ({
      status: 'running' as const,
      attempt: 1,
      host: 'elsewhere/1',
      lease_until: new Date(Date.now() + seconds * 1000),
    })
    const mine = eq(jobs.id, members[0].extract)
    await one.database.db.update(jobs).set(lease(3600)).where(mine)
    await one.database.db.update(extractions).set({ status: 'extracting' })
    await one.host.start()
    one.host.wake()
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(await rowOf(one, members[0].extract)).toMatchObject({ status: 'running', host: 'elsewhere/1' })
    await one.database.db.update(jobs).set(lease(-1)).where(mine)
    one.host.wake()
    await until(statusOf(one, members[0].extract), ended)
    expect(await rowOf(one, members[0].extract)).toMatchObject({ status: 'completed', attempt: 2 })
  })

  test('what a runner reports is written with the row it tells of', async () => {
    const one = await world(() => {})
    const [member] = await seedBatch({ db: one.database.db, project: one.project, nlp: [false] })
    await one.host.start()
    await until(
      async () => one.runners.length,
      count => count === 1,
    )
    one.runners[0].emit({
      event: 'extraction:progress',
      data: {
        extraction_id: member.extraction,
        phase: 'extracting',
        progress: 0.5,
        current_batch: 1,
        total_batches: 2,
        samples_processed: 4,
        total_samples: 8,
        samples_per_second: 2,
        mean_samples_per_second: 2,
        eta_seconds: 2,
        features_in_heap: 3,
        heap_examples_count: 7,
      },
    })
    const row = await until(
      () => extractionOf(one, member.extraction),
      ({ progress }) => progress === 0.5,
    )
    expect(row).toMatchObject({ features_in_heap: 3, heap_examples_count: 7, eta_seconds: 2 })
    expect((await rowOf(one, member.extract)).progress).toBe(0.5)
    const told = await one.database.db.select().from(events).where(eq(events.event, 'extraction:progress'))
    expect(told.map(({ data }) => data)).toMatchObject([
      { status: 'extracting', stage: 'EXTRACTING', nlp_status: null, heap_examples_count: 7 },
    ])
    // An event that is not as the contract has it is a fault of ours; the job goes on.
    one.runners[0].emit({ event: 'training:checkpoint', data: { training_id: 'x', step: 1 } })
    await until(
      async () => one.faults.length,
      count => count === 1,
    )
    void succeed(one.runners[0])
    await until(statusOf(one, member.extract), ended)
  })
})

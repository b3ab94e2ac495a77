// Checkpoints over HTTP: listed with sizes, finalised by a job, and one SAE of an ended training tried again.

import type { Dataset, Model, Training } from '@mistudio/contract'
import { writeCheckpoint } from '@mistudio/training'
import { and, eq } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { demoWidth, writeSae } from '../../testing/artefacts.ts'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  addDemoModel,
  addText,
  completeTraining,
  problemOf,
  startTestServer,
  type TestServer,
  trainingBody,
  trainingHooks,
} from '../../testing/server.ts'
import { jobs, trainings } from '../db/schema.ts'
import { kinds } from '../jobs/kinds.ts'
import { folders } from '../storage.ts'

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  let model: Model
  let text: Dataset
  let training: Training
  beforeAll(async () => {
    server = await startTestServer(target)
    model = await addDemoModel(server)
    text = await addText(server)
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })

  /** A completed training with two checkpoints in which its first two SAEs still trained. */
  beforeEach(async () => {
    training = await server.client.createTraining({ body: trainingBody(model.id, [text.id]) })
    await completeTraining(server, training)
    const run = server.services.storage.resolve(`${folders.training(training.id)}/attempt-1/run`)
    for (const [step, fvu] of [
      [100, 0.2],
      [200, 0.4],
    ]) {
      const members = Object.fromEntries(
        trainingHooks.map((name, i) => [
          name,
          { status: i < 2 ? ('training' as const) : ('failed' as const) },
        ]),
      )
      const state = { settings: {}, step, window: 0, batch: 0, members, fvu, outliers: {} }
      await writeCheckpoint({
        out: run,
        state,
        saes: new Map([[trainingHooks[0], new Map([['w', new Float32Array(64)]])]]),
      })
    }
  })

  const params = () => ({ id: training.id })
  const listed = async () => (await server.client.listCheckpoints({ params: params() })).data
  const jobsOf = (kind: 'retry' | 'finalise') =>
    server.services.db
      .select()
      .from(jobs)
      .where(and(eq(jobs.entity, `training/${training.id}`), eq(jobs.kind, kind)))
  const setMembers = (status: 'failed' | 'stopped') =>
    server.services.db
      .update(trainings)
      .set({ saes: training.saes.map((sae, i) => ({ ...sae, status: i === 1 ? status : 'completed' })) })
      .where(eq(trainings.id, training.id))

  test('are listed the newest first, with sizes, the best of them and the SAEs they hold', async () => {
    const found = await listed()
    expect(
      found.map(({ step, tokens, best, fvu, finalised }) => [step, tokens, best, fvu, finalised]),
    ).toEqual([
      [200, 200 * 1024, false, 0.4, false],
      [100, 100 * 1024, true, 0.2, false],
    ])
    expect(found[0].saes).toEqual(trainingHooks.slice(0, 2))
    expect(found[0].bytes).toBeGreaterThan(64 * 4)
    const fresh = await server.client.createTraining({ body: trainingBody(model.id, [text.id]) })
    expect((await server.client.listCheckpoints({ params: { id: fresh.id } })).data).toEqual([])
  })

  test('one is finalised by a job; its SAEs are offered beside those of the end, and imported by step', async () => {
    await server.client.finaliseTraining({ params: params(), body: { step: 100 } })
    const [job] = await jobsOf('finalise')
    expect(job).toMatchObject({ status: 'queued', input: { step: 100 }, attempt: 0 })
    expect(
      await problemOf(server.client.finaliseTraining({ params: params(), body: { step: 200 } })),
    ).toMatchObject({
      status: 409,
      title: 'a job works on this training already',
    })
    // As its runner would leave it.
    const { storage } = server.services
    const out = storage.resolve(folders.attempt(kinds.finalise.folder(job), 1))
    await writeSae({ dir: `${out}/saes/${trainingHooks[0]}`, hookPoint: trainingHooks[0], dIn: demoWidth })
    const context = { storage } as Parameters<typeof kinds.finalise.collect>[0]
    await kinds.finalise.collect(context, job, { kind: 'finalise', step: 100, saes: [trainingHooks[0]] }, out)
    expect((await listed()).map(({ finalised }) => finalised)).toEqual([false, true])
    const { data } = await server.client.listTrainingSaes({ params: params() })
    expect(data.map(({ member, checkpoint }) => [member, checkpoint])).toEqual([
      ...trainingHooks.map(name => [name, null]),
      [trainingHooks[0], 100],
    ])
    const end = await server.client.importSaes({ body: { training_id: training.id } })
    expect(end.imported).toHaveLength(4)
    const { imported } = await server.client.importSaes({
      body: { training_id: training.id, checkpoint: 100 },
    })
    expect(imported).toMatchObject([{ member: trainingHooks[0], checkpoint: 100 }])
    expect(imported[0].name).toMatch(/step 100$/)
  })

  test('a step that is not there, and a training that runs, are refused', async () => {
    expect(
      await problemOf(server.client.finaliseTraining({ params: params(), body: { step: 150 } })),
    ).toMatchObject({
      status: 400,
      field: 'step',
      expected: '200, 100',
    })
    await server.services.db.update(trainings).set({ status: 'running' }).where(eq(trainings.id, training.id))
    expect(
      await problemOf(server.client.finaliseTraining({ params: params(), body: { step: 100 } })),
    ).toMatchObject({
      status: 409,
      found: 'running',
    })
  })

  test('one SAE that failed is tried again by a job that goes on in the run, the others as they are', async () => {
    await setMembers('failed')
    const member = trainingHooks[1]
    const after = await server.client.retryTraining({ params: params(), body: { member } })
    expect(after.status).toBe('completed')
    expect(after.saes.map(({ status }) => status)).toEqual(['completed', 'pending', 'completed', 'completed'])
    const [job] = await jobsOf('retry')
    // Attempts go on counting: the run of attempt 1 is not in the way of the first of this job.
    expect(job).toMatchObject({ status: 'queued', input: { member } })
    const [first] = await server.services.db.select().from(jobs).where(eq(jobs.id, training.job_id!))
    expect(job.attempt).toBe(first.attempt)
    const told = await server.services.log.list({ channel: `training/${training.id}`, after: 0, limit: 9 })
    expect(told.at(-1)).toMatchObject({ event: 'training:members', data: { status: 'completed' } })
  })

  test('an SAE that is complete or not there is not tried again', async () => {
    await setMembers('stopped')
    const retry = (member: string) =>
      problemOf(server.client.retryTraining({ params: params(), body: { member } }))
    expect(await retry(trainingHooks[0])).toMatchObject({
      status: 409,
      title: 'the SAE is completed',
      expected: trainingHooks[1],
    })
    expect(await retry('blocks.7.hook_resid_post')).toMatchObject({ status: 400, field: 'member' })
  })

  test('finalise without a step stops a training and keeps its SAEs', async () => {
    const fresh = await server.client.createTraining({ body: trainingBody(model.id, [text.id]) })
    const ended = await server.client.finaliseTraining({ params: { id: fresh.id }, body: {} })
    // It never ran: there is nothing to keep.
    expect(ended).toMatchObject({ status: 'cancelled', kept: false })
    expect(ended.saes.map(({ status }) => status)).toEqual(['stopped', 'stopped', 'stopped', 'stopped'])
  })
})

// What the tests of the training loop share: small runs over a table in place of a model, a folder each.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTable, randomContexts, type Table } from '@mistudio/capture/testing/table_forward.ts'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import type { Settings } from '../src/fields.ts'
import { createLearner } from '../src/learner/learner.ts'
import type { TrainMember } from '../src/member.ts'
import type { TrainOptions } from '../src/run/run_plan.ts'
import { trainSaes } from '../src/run/train.ts'
import type { CreateLearner } from '../src/run/train_member.ts'
import type { TrainResult } from '../src/run/train_record.ts'
import type { GivenRun } from '../src/run_settings.ts'

export const dIn = 16
export const vocabulary = 200
export const contextSize = 10
export const source = randomContexts({ vocabulary, contextSize, contexts: 90 })

export type TrainSetup = {
  pool: WorkerPool
  table: Table
  folder: string
  options(given: Given): TrainOptions
  run(given: Given): Promise<TrainResult>
  close(): Promise<void>
}
type Given = Partial<Omit<TrainOptions, 'settings'>> & {
  out: string
  settings?: Partial<GivenRun>
  members: readonly TrainMember[]
}

/** Hook points a, b, c, each with values of its own; 31 steps of 64 tokens, checkpoints at odd steps. */
export async function openTrainSetup(): Promise<TrainSetup> {
  const pool = await openWorkerPool({ count: 2 })
  const table = await createTable({
    pool,
    vocabulary,
    dIn,
    hooks: ['a', 'b', 'c'],
    contextSize,
    apart: true,
  })
  const folder = mkdtempSync(join(tmpdir(), 'mistudio-train-'))
  const options = (given: Given): TrainOptions => ({
    pool,
    forward: table.forward,
    contextsPerCall: 3,
    source,
    modelName: 'table',
    datasets: ['random'],
    ...given,
    settings: {
      trainTokens: 2000,
      batchSize: 64,
      windowTokens: 300,
      checkpointEverySteps: 7,
      calibrationTokens: 500,
      ...given.settings,
    },
  })
  return {
    pool,
    table,
    folder,
    options,
    run: given => trainSaes(options(given)),
    async close() {
      rmSync(folder, { recursive: true })
      await pool.close()
    },
  }
}

/** A TopK SAE of hook point `hook`. */
export const topk = (name: string, hook = 'a', settings: Settings = {}): TrainMember => ({
  name,
  family: 'topk',
  inputs: [hook],
  outputs: [],
  dSae: 40,
  settings: { k: 4, dead_after_tokens: 300, normalisation: 'expected_average', ...settings },
})

/** Learners of which those of `dSae` latents give NaN as the loss of step `at`, counted over one process. */
export function failing(options: { dSae: number; at: number }): CreateLearner {
  return async given => {
    const learner = await createLearner(given)
    if (given.plan.shape.dSae !== options.dSae) return learner
    let steps = 0
    return {
      ...learner,
      async afterStep() {
        steps++
        await learner.afterStep()
      },
      loss: () => ({ ...learner.loss(), ...(steps === options.at && { loss: Number.NaN }) }),
    }
  }
}

/** The bytes of an SAE's weights. */
export const weightsOf = (out: string, name: string): Buffer =>
  readFileSync(join(out, name, 'sae_weights.safetensors'))

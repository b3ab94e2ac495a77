// Finalise: the SAEs of a checkpoint, made beside those of the training's end. The training itself does not move.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { newestRun } from '../../domain/jobs/attempts.ts'
import { entityId, type JobRow } from '../../domain/jobs/job.ts'
import { tellTraining } from '../../domain/trainings/member_changes.ts'
import { folders } from '../../storage.ts'
import { defineKind } from '../kind.ts'
import { trainingSpec } from './training_spec.ts'

const stepOf = ({ input }: JobRow): number => {
  if (input?.step === undefined) throw new Error('a finalise job without a step')
  return input.step
}

export default defineKind('finalise', {
  // Not the training's own attempts: the run stays where it is.
  folder: job => `${folders.finalised(entityId(job))}/making-${stepOf(job)}`,
  async prepare(context, job, out) {
    const { modelName: _, datasetNames: __, ...spec } = await trainingSpec(context, entityId(job))
    const runDir = newestRun(context.storage.resolve(folders.training(entityId(job))))
    if (runDir === undefined) throw new Error('the training has no files')
    return { ...spec, runDir, step: stepOf(job), out }
  },
  failed: (tx, job, message) => tellTraining(tx, entityId(job), message),
  async collect({ storage }, job, _result, out) {
    const place = storage.resolve(`${folders.finalised(entityId(job))}/step-${stepOf(job)}`)
    const made = join(out, 'saes')
    // After a crash it may lie in its place already.
    if (!existsSync(made)) return
    rmSync(place, { recursive: true, force: true })
    mkdirSync(dirname(place), { recursive: true })
    renameSync(made, place)
  },
  completed: (tx, job) => tellTraining(tx, entityId(job), null),
})

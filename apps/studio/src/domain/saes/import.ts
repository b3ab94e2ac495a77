// SAEs come in: all or some of a training, which stay in its folder, or one from a folder elsewhere, which is copied.
import { constants } from 'node:fs'
import { copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { RouteName } from '@mistudio/contract'
import { hookPoints, readModelConfig, resolveHook } from '@mistudio/model'
import { describeSae, saeFiles } from '@mistudio/sae'
import { InputError } from '@mistudio/tensor'
import { eq } from 'drizzle-orm'
import { models, saes, trainings } from '../../db/schema.ts'
import { newId } from '../../ids.ts'
import { illegalMove, notFound, ProblemError } from '../../problem.ts'
import type { HandlerRequest } from '../../routes/register.ts'
import { folders } from '../../storage.ts'
import { changed, inSequence } from '../changes.ts'
import type { Services } from '../services.ts'
import { saesAvailable } from '../trainings/finished.ts'
import { saeColumns } from './columns.ts'
import { importedSaes, saeKey, type TrainedSae, trainedSaes } from './offered.ts'

type Import = HandlerRequest<Extract<RouteName, 'importSaes'>>['body']
type Result = { imported: string[]; skipped: { hook_point: string; member: string; reason: string }[] }

export async function importSaes(services: Services, request: Import): Promise<Result> {
  const { training_id, path, model_id } = request
  if (training_id !== undefined) {
    const { hook_points: hookPoints, members, checkpoint } = request
    return importTrained(services, { trainingId: training_id, hookPoints, members, checkpoint })
  }
  const id = await importFolder(services, { path: path!, modelId: model_id!, name: request.name })
  return { imported: [id], skipped: [] }
}

/**
 * @param options.hookPoints or members: default all; those that are there already are skipped and say so
 * @param options.checkpoint step of a checkpoint that was finalised; default the training's end
 */
export async function importTrained(
  services: Services,
  options: { trainingId: string; hookPoints?: string[]; members?: string[]; checkpoint?: number },
): Promise<Result> {
  const { trainingId, hookPoints, members, checkpoint = null } = options
  const result: Result = { imported: [], skipped: [] }
  await services.log.write(async tx => {
    // Held until the end: of two imports at once the second finds what the first has made.
    const [training] = await tx.select().from(trainings).where(eq(trainings.id, trainingId)).for('update')
    if (training === undefined) throw notFound('training', trainingId, 'training_id')
    const there = trainedSaes({ storage: services.storage, training }).filter(
      sae => sae.checkpoint === checkpoint,
    )
    if (!saesAvailable(training) && there.length === 0) {
      const { status: state } = training
      throw illegalMove({
        entity: 'training',
        state,
        move: 'give SAEs',
        allowed: 'completed, or stopped and kept',
      })
    }
    const chosen = pick(there, { hookPoints, members })
    const known = await importedSaes(tx, trainingId)
    const rows = []
    for (const sae of chosen) {
      const earlier = known.get(saeKey(sae))
      if (earlier !== undefined) {
        result.skipped.push({
          hook_point: sae.hook_point,
          member: sae.member,
          reason: `imported already, as ${earlier.name}`,
        })
        continue
      }
      rows.push({
        ...sae,
        id: newId('sae'),
        name: saeName(training.name, sae),
        source: 'training' as const,
        training_id: trainingId,
        model_id: training.model_id,
        status: 'ready' as const,
      })
    }
    if (rows.length > 0) await tx.insert(saes).values(inSequence(rows.toReversed()))
    result.imported = rows.map(({ id }) => id)
    return result.imported.map(id => changed(`sae/${id}`, 'created'))
  })
  return result
}

/** By name, or all of a hook point; default all there are. */
function pick(
  there: TrainedSae[],
  { hookPoints, members }: { hookPoints?: string[]; members?: string[] },
): TrainedSae[] {
  const of = (wanted: string[], field: string, nameOf: (sae: TrainedSae) => string) =>
    [...new Set(wanted)].flatMap(name => {
      const found = there.filter(candidate => nameOf(candidate) === name)
      if (found.length > 0) return found
      throw new ProblemError('invalid', {
        title: `the training has no SAE of this ${field === 'members' ? 'name' : 'hook point'}`,
        field,
        found: name,
        expected: [...new Set(there.map(nameOf))].join(', '),
      })
    })
  if (members !== undefined) return of(members, 'members', sae => sae.member)
  return hookPoints === undefined ? there : of(hookPoints, 'hook_points', sae => sae.hook_point)
}

function saeName(training: string, sae: TrainedSae): string {
  const { hook_type, hook_point, layer, member, checkpoint } = sae
  const place = hook_type === null ? hook_point : `layer ${layer} ${hook_type}`
  // What distinguishes it from the others of its hook point.
  const rest = member.startsWith(`${hook_point}-`) ? member.slice(hook_point.length + 1) : ''
  const parts = [place.slice(0, 40), rest.slice(0, 60), checkpoint === null ? '' : `step ${checkpoint}`]
  return [training.slice(0, 80), ...parts.filter(part => part !== '')].join(' · ')
}

/** @returns the SAE's id */
async function importFolder(
  services: Services,
  options: { path: string; modelId: string; name?: string },
): Promise<string> {
  const { db, log, storage } = services
  const { modelId } = options
  const source = resolve(storage.modelDir(options.path))
  const [model] = await db.select().from(models).where(eq(models.id, modelId))
  const gone = () => notFound('model', modelId, 'model_id')
  if (model === undefined) throw gone()
  const described = describeSae({ dir: source })
  checkFit({ described, modelDir: storage.modelDir(model.path), modelName: model.name })
  const id = newId('sae')
  const path = folders.sae(id)
  await copySae(source, storage.resolve(path))
  try {
    await log.write(async tx => {
      // Copying takes time.
      const [still] = await tx.select().from(models).where(eq(models.id, modelId)).for('share')
      if (still === undefined) throw gone()
      await tx.insert(saes).values({
        ...saeColumns(described),
        id,
        name: options.name ?? basename(source).slice(0, 200),
        source: 'folder',
        training_id: null,
        member: null,
        checkpoint: null,
        model_id: modelId,
        status: 'ready',
        path,
      })
      return [changed(`sae/${id}`, 'created')]
    })
  } catch (error) {
    await rm(storage.resolve(path), { recursive: true, force: true })
    throw error
  }
  return id
}

/**
 * What it writes need not be known: only its evaluation looks there.
 * @throws InputError when the model lacks a hook point that the SAE reads, or has another width at one of its hook points
 */
function checkFit(options: {
  described: ReturnType<typeof describeSae>
  modelDir: string
  modelName: string
}): void {
  const { described, modelDir, modelName } = options
  const file = join(described.dir, 'cfg.json')
  const known = hookPoints(readModelConfig({ dir: modelDir }))
  const { inputs, outputs } = described.hooks
  for (const [field, spans] of [
    ['d_in', inputs],
    ['d_out', outputs],
  ] as const) {
    for (const { hook, width: found } of spans) {
      const written = field === 'd_out' ? known.find(({ name }) => name === hook) : resolveHook(known, hook)
      const width = written?.width ?? found
      if (width === found) continue
      throw new InputError({
        message: 'the SAE does not fit the model',
        file,
        field,
        found: String(found),
        expected: `${width}, the width of ${hook} in ${modelName}`,
      })
    }
  }
}

async function copySae(from: string, to: string): Promise<void> {
  const next = `${to}.next`
  try {
    await mkdir(next, { recursive: true })
    for (const name of saeFiles) {
      // Costs nothing where the file system can share the bytes.
      await copyFile(join(from, name), join(next, name), constants.COPYFILE_FICLONE)
    }
    await rename(next, to)
  } catch (error) {
    await rm(next, { recursive: true, force: true })
    throw error
  }
}

// An SAE from a folder elsewhere: it is copied, once it is known to fit the model it is said to be of.
import { constants } from 'node:fs'
import { copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { InputError } from '@mistudio/files'
import { readDecoder, resolveHook } from '@mistudio/model'
import { describeSae, saeFiles } from '@mistudio/sae'
import { eq } from 'drizzle-orm'
import { models, saes } from '../../db/schema.ts'
import { newId } from '../../ids.ts'
import { notFound } from '../../problem.ts'
import { folders } from '../../storage.ts'
import { changed } from '../changes.ts'
import type { Services } from '../services.ts'
import { saeColumns } from './columns.ts'

/** @returns the SAE's id */
export async function importFolder(
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
  const { file } = described
  const known = readDecoder({ dir: modelDir }).shapes.hooks
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
    for (const name of saeFiles({ dir: from })) {
      // Costs nothing where the file system can share the bytes.
      await copyFile(join(from, name), join(next, name), constants.COPYFILE_FICLONE)
    }
    await rename(next, to)
  } catch (error) {
    await rm(next, { recursive: true, force: true })
    throw error
  }
}

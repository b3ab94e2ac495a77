// A model is added: a folder in Hugging Face layout that stays where it is, read before there is a row.
import { basename, isAbsolute, resolve } from 'node:path'
import { type HookType, hookPointOf, hookTypes, type Model } from '@mistudio/contract'
import { describeModel } from '@mistudio/model'
import { openTokenizer } from '@mistudio/tokenizer'
import { eq, sql } from 'drizzle-orm'
import { models } from '../../db/schema.ts'
import { newId } from '../../ids.ts'
import { ProblemError } from '../../problem.ts'
import { demoModelPath } from '../../storage.ts'
import { changed } from '../changes.ts'
import type { Services } from '../services.ts'
import { findModel } from './find.ts'

/** @throws InputError for a folder that is no model we can run, naming what is wrong with it */
export async function createModel(
  services: Services,
  options: { path: string; name?: string },
): Promise<Model> {
  const { db, log, storage } = services
  const dir = resolve(storage.modelDir(options.path))
  const demo = options.path === demoModelPath
  const path = demo ? demoModelPath : isAbsolute(options.path) ? dir : storage.relative(dir)
  const { config, hooks, parameters } = describeModel({ dir })
  // A model without its tokenizer could do nothing here.
  openTokenizer({ dir })
  const known = new Set(hooks.map(({ name }) => name))
  // A training asks for layers and hook types, each with each.
  const everywhere = (hookType: HookType) =>
    Array.from({ length: config.nLayers }, (_, layer) => hookPointOf({ layer, hookType })).every(name =>
      known.has(name),
    )
  const id = newId('model')
  await log.write(async tx => {
    // Two at once: the second looks when the first is there.
    await tx.execute(sql`lock table models in share row exclusive mode`)
    const [other] = await tx.select().from(models).where(eq(models.path, path))
    if (other !== undefined) {
      throw new ProblemError('conflict', {
        title: 'this model is there already',
        field: 'path',
        found: `${path}, added as ${other.name}`,
        expected: 'another folder',
      })
    }
    await tx.insert(models).values({
      id,
      name: options.name ?? (demo ? 'mistudio-demo' : basename(dir).slice(0, 200)),
      source: demo ? 'demo' : 'local',
      path,
      architecture: config.kind,
      status: 'ready',
      params_count: parameters,
      layers: config.nLayers,
      d_model: config.dModel,
      vocab_size: config.vocabSize,
      context_length: config.nCtx,
      hook_types: hookTypes.filter(everywhere),
    })
    return [changed(`model/${id}`, 'created')]
  })
  return findModel(db, id)
}

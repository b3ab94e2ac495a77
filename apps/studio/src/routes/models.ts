// Models: folders in Hugging Face layout that stay where they are.
import { basename, isAbsolute, resolve } from 'node:path'
import { hookTypes, type Model, parseHookPoint } from '@mistudio/contract'
import { describeModel, openTokenizer } from '@mistudio/model'
import { and, desc, eq, inArray, sql } from 'drizzle-orm'
import type { Executor, Transaction } from '../db/connect.ts'
import { extractions, models, saes, tokenizations, trainings } from '../db/schema.ts'
import { changed, forget, inUse, removeFolders } from '../domain/changes.ts'
import { iso, pageOfItems } from '../domain/paging.ts'
import type { Services } from '../domain/services.ts'
import { newId } from '../ids.ts'
import { notFound, ProblemError } from '../problem.ts'
import { demoModelPath, folders } from '../storage.ts'
import type { Handlers } from './register.ts'

type Row = typeof models.$inferSelect

const toModel = ({ created_at, ...row }: Row): Model => ({ ...row, created_at: iso(created_at) })

export async function findModel(db: Executor, id: string): Promise<Model> {
  const [row] = await db.select().from(models).where(eq(models.id, id))
  if (row === undefined) throw notFound('model', id)
  return toModel(row)
}

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
  const known = new Set(hooks.map(hook => parseHookPoint(hook.name)?.hookType))
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
      hook_types: hookTypes.filter(type => known.has(type)),
    })
    return [changed(`model/${id}`, 'created')]
  })
  return findModel(db, id)
}

async function removeModel(services: Services, id: string): Promise<void> {
  let stores: string[] = []
  await services.log.write(async tx => {
    const [row] = await tx.select().from(models).where(eq(models.id, id)).for('update')
    if (row === undefined) throw notFound('model', id)
    const user = await userOf(tx, id)
    if (user !== undefined) throw inUse({ entity: 'model', name: row.name, by: user })
    const gone = await tx.delete(tokenizations).where(eq(tokenizations.model_id, id)).returning()
    stores = gone.map(store => store.id)
    await tx.delete(models).where(eq(models.id, id))
    return await forget(tx, [`model/${id}`, ...stores.map(store => `tokenization/${store}`)])
  })
  await removeFolders(services, stores.map(folders.tokenization))
}

async function userOf(tx: Transaction, id: string): Promise<string | undefined> {
  const [training] = await tx.select().from(trainings).where(eq(trainings.model_id, id)).limit(1)
  if (training !== undefined) return `the training ${training.name}`
  const [sae] = await tx.select().from(saes).where(eq(saes.model_id, id)).limit(1)
  if (sae !== undefined) return `the SAE ${sae.name}`
  if ((await tx.$count(extractions, eq(extractions.model_id, id))) > 0) return 'an extraction'
  const active = and(eq(tokenizations.model_id, id), inArray(tokenizations.status, ['queued', 'tokenizing']))
  return (await tx.$count(tokenizations, active)) > 0 ? 'a tokenization that runs' : undefined
}

type Names = 'listModels' | 'createModel' | 'getModel' | 'deleteModel'

export function modelHandlers(services: Services): Pick<Handlers, Names> {
  const { db } = services
  return {
    async listModels({ query }) {
      const rows = await db
        .select()
        .from(models)
        .orderBy(desc(models.created_at), desc(models.id))
        .limit(query.limit)
        .offset(query.offset)
      return pageOfItems({ data: rows.map(toModel), total: await db.$count(models), query })
    },
    createModel: ({ body }) => createModel(services, body),
    getModel: ({ params }) => findModel(db, params.id),
    deleteModel: ({ params }) => removeModel(services, params.id),
  }
}

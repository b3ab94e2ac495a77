// What a training offers to import. Hook point and sizes are read from each SAE's own files.
import { existsSync, readdirSync } from 'node:fs'
import { type AvailableSae, parseHookPoint } from '@mistudio/contract'
import { describeSae } from '@mistudio/sae'
import { eq } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { saes, trainings } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { folders, type Storage } from '../../storage.ts'
import type { Services } from '../services.ts'

type Training = typeof trainings.$inferSelect

export const saesAvailable = (row: Training) =>
  row.path !== null && (row.status === 'completed' || (row.status === 'cancelled' && row.kept))

export type TrainedSae = Omit<AvailableSae, 'imported_sae_id'> & { path: string }

/** The SAEs in a training's folder, in the order of its members; those whose files are not there are left out. */
export function trainedSaes(options: { storage: Storage; training: Training }): TrainedSae[] {
  const { storage, training } = options
  const ended = saesAvailable(training) ? [{ checkpoint: null, folder: training.path! }] : []
  return [...ended, ...finalisedCheckpoints({ storage, trainingId: training.id })].flatMap(
    ({ checkpoint, folder }) =>
      training.saes
        .map(({ name }) => ({ member: name, checkpoint, path: `${folder}/${name}` }))
        .filter(({ path }) => existsSync(storage.resolve(path)))
        .map(found => ({ ...found, ...saeColumns(describeSae({ dir: storage.resolve(found.path) })) })),
  )
}

/** Checkpoints whose SAEs were made, by step. */
export function finalisedCheckpoints(options: {
  storage: Storage
  trainingId: string
}): { checkpoint: number; folder: string }[] {
  const { storage, trainingId } = options
  const within = folders.finalised(trainingId)
  const dir = storage.resolve(within)
  if (!existsSync(dir)) return []
  return readdirSync(dir)
    .filter(name => /^step-\d+$/.test(name))
    .map(name => ({ checkpoint: Number(name.slice(5)), folder: `${within}/${name}` }))
    .sort((a, b) => a.checkpoint - b.checkpoint)
}

/** Members have names, and a checkpoint its step. */
export const saeKey = ({ member, checkpoint }: { member: string | null; checkpoint: number | null }) =>
  `${member}@${checkpoint}`

/** What a row says of an SAE's files. */
export function saeColumns(described: ReturnType<typeof describeSae>) {
  const { hooks, architecture, shape, activation } = described
  // What it reads is where it is: of several hook points the first.
  const [{ hook }] = hooks.inputs
  const place = parseHookPoint(hook)
  return {
    hook_point: hook,
    layer: place?.layer ?? null,
    hook_type: place?.hookType ?? null,
    architecture,
    d_in: shape.dIn,
    d_sae: shape.dSae,
    k: activation.kind === 'topk' ? activation.k : null,
  }
}

/** SAEs of a training that are there already, by `saeKey`. */
export async function importedSaes(
  db: Executor,
  trainingId: string,
): Promise<Map<string, { id: string; name: string }>> {
  const found = await db
    .select({ id: saes.id, name: saes.name, member: saes.member, checkpoint: saes.checkpoint })
    .from(saes)
    .where(eq(saes.training_id, trainingId))
  return new Map(found.map(row => [saeKey(row), row]))
}

export async function availableSaes({ db, storage }: Services, trainingId: string): Promise<AvailableSae[]> {
  const [training] = await db.select().from(trainings).where(eq(trainings.id, trainingId))
  if (training === undefined) throw notFound('training', trainingId)
  const imported = await importedSaes(db, trainingId)
  return trainedSaes({ storage, training }).map(({ path: _, ...sae }) => ({
    ...sae,
    imported_sae_id: imported.get(saeKey(sae))?.id ?? null,
  }))
}

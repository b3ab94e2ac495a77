// What a training offers to import. Hook point and sizes are read from each SAE's own files.
import { existsSync } from 'node:fs'
import type { AvailableSae } from '@mistudio/contract'
import { describeSae } from '@mistudio/sae'
import { eq } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { saes, trainings } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import type { Storage } from '../../storage.ts'
import type { Services } from '../services.ts'
import { finalisedCheckpoints, saesAvailable } from '../trainings/finished.ts'
import { saeColumns } from './columns.ts'

type Training = typeof trainings.$inferSelect

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

/** Members have names, and a checkpoint its step. */
export const saeKey = ({ member, checkpoint }: { member: string | null; checkpoint: number | null }) =>
  `${member}@${checkpoint}`

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

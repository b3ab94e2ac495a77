// Where a training has SAEs that can be used: at its end, and of checkpoints that were finalised.
import { existsSync, readdirSync } from 'node:fs'
import type { trainings } from '../../db/schema.ts'
import { folders, type Storage } from '../../storage.ts'

/** At its end; checkpoints may have SAEs before. */
export const saesAvailable = (row: typeof trainings.$inferSelect) =>
  row.path !== null && (row.status === 'completed' || (row.status === 'cancelled' && row.kept))

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

// A training goes once it has ended, unless an SAE of it is in use.
import { isTerminal, trainingMachine } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import { saes, trainings } from '../../db/schema.ts'
import { illegalMove, notFound } from '../../problem.ts'
import { folders } from '../../storage.ts'
import { forget, inUse, removeFolders } from '../changes.ts'
import type { Services } from '../services.ts'

export async function removeTraining(services: Services, id: string): Promise<void> {
  await services.log.write(async tx => {
    const [row] = await tx.select().from(trainings).where(eq(trainings.id, id)).for('update')
    if (row === undefined) throw notFound('training', id)
    if (!isTerminal(trainingMachine, row.status)) {
      throw illegalMove({
        entity: 'training',
        state: row.status,
        move: 'be deleted',
        allowed: 'completed, failed or cancelled',
      })
    }
    const [sae] = await tx.select().from(saes).where(eq(saes.training_id, id)).limit(1)
    if (sae !== undefined) throw inUse({ entity: 'training', name: row.name, by: `the SAE ${sae.name}` })
    await tx.delete(trainings).where(eq(trainings.id, id))
    return await forget(tx, [`training/${id}`])
  })
  await removeFolders(services, [folders.training(id)])
}

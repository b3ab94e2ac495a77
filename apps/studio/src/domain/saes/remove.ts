// An SAE goes, unless an extraction is of it.
import { eq } from 'drizzle-orm'
import { extractions, saes } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { folders } from '../../storage.ts'
import { forget, inUse, removeFolders } from '../changes.ts'
import type { Services } from '../services.ts'

export async function removeSae(services: Services, id: string): Promise<void> {
  let copied = false
  await services.log.write(async tx => {
    const [row] = await tx.select().from(saes).where(eq(saes.id, id)).for('update')
    if (row === undefined) throw notFound('SAE', id)
    if ((await tx.$count(extractions, eq(extractions.sae_id, id))) > 0) {
      throw inUse({ entity: 'SAE', name: row.name, by: 'an extraction' })
    }
    // A training's SAE stays with the training, and can be imported again.
    copied = row.source === 'folder'
    await tx.delete(saes).where(eq(saes.id, id))
    return await forget(tx, [`sae/${id}`])
  })
  if (copied) await removeFolders(services, [folders.sae(id)])
}

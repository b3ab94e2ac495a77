// SAEs come in: of a training, or from a folder.
import type { ParsedRequest } from '@mistudio/contract'
import type { Services } from '../services.ts'
import { importFolder } from './import_folder.ts'
import { type Imported, importTrained } from './import_trained.ts'

/** @returns ids of the new SAEs, and those of the training that were there already */
export async function importSaes(
  services: Services,
  request: ParsedRequest<'importSaes'>['body'],
): Promise<Imported> {
  const { training_id, path, model_id } = request
  if (training_id !== undefined) {
    const { hook_points: hookPoints, members, checkpoint } = request
    return importTrained(services, { trainingId: training_id, hookPoints, members, checkpoint })
  }
  const id = await importFolder(services, { path: path!, modelId: model_id!, name: request.name })
  return { imported: [id], skipped: [] }
}

// SAEs of a training, all or some of them: they stay in its folder and get a row each.
import { eq } from 'drizzle-orm'
import { saes, trainings } from '../../db/schema.ts'
import { newId } from '../../ids.ts'
import { illegalMove, notFound, ProblemError } from '../../problem.ts'
import { changed, inSequence } from '../changes.ts'
import type { Services } from '../services.ts'
import { saesAvailable } from '../trainings/finished.ts'
import { importedSaes, saeKey, type TrainedSae, trainedSaes } from './offered.ts'

export type Imported = {
  imported: string[]
  skipped: { hook_point: string; member: string; reason: string }[]
}

/**
 * @param options.hookPoints or members: default all; those that are there already are skipped and say so
 * @param options.checkpoint step of a checkpoint that was finalised; default the training's end
 */
export async function importTrained(
  services: Services,
  options: { trainingId: string; hookPoints?: string[]; members?: string[]; checkpoint?: number },
): Promise<Imported> {
  const { trainingId, hookPoints, members, checkpoint = null } = options
  const result: Imported = { imported: [], skipped: [] }
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

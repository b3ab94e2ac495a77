// Advice before `sae train`: whether memory and disk suffice, reckoned at once, and with --advice how long it takes by a
// five-second probe. What cannot fit is refused with what would.
import { statfsSync } from 'node:fs'
import type { Capture } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import type { Advice, RunMember, TrainOptions } from '@mistudio/training'

/** @param options.probe measure first */
export async function adviceOf(options: {
  training: TrainOptions
  members: readonly RunMember[]
  capture: Capture
  probe: boolean
}): Promise<Advice> {
  const { adviseTraining, planTraining, probeMachine } = await import('@mistudio/training')
  const { training, members, capture } = options
  const { run, members: planned, activations } = planTraining(training)
  const { pool } = training
  /** The same SAEs with other sizes; a size that a family cannot have stays as it was. */
  const sized = (sizeOf: (dSae: number) => number, batchSize: number) =>
    planTraining({
      ...training,
      activations,
      members: members.map(member => ({ ...member, dSae: sizeOf(member.dSae) })),
      settings: { ...training.settings, batchSize },
    } as TrainOptions).members
  const hooks = [
    ...new Set(planned.flatMap(({ hooks }) => [...hooks.inputs, ...hooks.outputs].map(({ hook }) => hook))),
  ]
  const probe = options.probe
    ? await probeMachine({
        pool,
        small: ({ dSae, batchSize }) => {
          try {
            return sized(own => Math.min(own, dSae), batchSize)
          } catch {
            return planned
          }
        },
        // Cached activations cost no pass of a model.
        ...(capture.kind === 'live' && { capture: { ...capture, hooks } }),
      })
    : null
  const disk = statfsSync(training.out)
  return adviseTraining({
    members: planned,
    run: { ...run, contextSize: activations.contextSize },
    modelBytes: capture.kind === 'live' ? capture.texts.parameters * 4 : 0,
    workers: pool.count,
    machine: { memoryBytes: process.availableMemory(), diskBytes: disk.bavail * disk.bsize },
    probe,
    replan: ({ dSaeScale, batchSize }) => sized(own => Math.max(1, Math.floor(own * dSaeScale)), batchSize),
  })
}

/** @throws InputError with what would fit */
export function refuseUnfit({ refusal, suggestions }: Advice): void {
  if (refusal === null) return
  throw new InputError({
    message: `this training does not fit this machine: ${refusal}`,
    field: suggestions.map(({ field }) => field).join(', ') || 'd_sae',
    expected:
      suggestions.map(({ field, value, reason }) => `${field} ${value} (${reason})`).join(', or ') || 'less',
  })
}

/** For a person. */
export function adviceText(advice: Advice, line: string): string {
  return [
    line,
    ...(advice.refusal === null ? [] : [`It does not fit: ${advice.refusal}.`]),
    ...advice.suggestions.map(({ field, value, reason }) => `${field} ${value}: ${reason}`),
    ...advice.warnings.map(({ field, message, suggestion }) =>
      suggestion === null
        ? `${field}: ${message}`
        : `${field}: ${message}; try ${suggestion.value}: ${suggestion.reason}`,
    ),
    ...advice.reasons,
  ].join('\n')
}

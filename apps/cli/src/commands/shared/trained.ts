// What commands tell of a training: its events as progress, its SAEs under wire names.
import { join } from 'node:path'
import type { MemberProgress, TrainedSae, TrainProgress } from '@mistudio/training'
import type { JobContext } from '../../frame/command.ts'

/** An SAE of the result, under wire names. */
export function shown(sae: TrainedSae, out: string) {
  const { name, family, inputs, outputs, status, error, step, tokens, fvu, l0, threshold, early } = sae
  return {
    path: sae.dir === null ? null : join(out, sae.dir),
    name,
    family,
    hook_point: inputs[0],
    inputs,
    outputs,
    d_sae: sae.dSae,
    k: sae.k,
    status,
    error,
    ended_early: early,
    step,
    tokens,
    fvu,
    l0,
    dead_latents: sae.deadLatents,
    threshold,
  }
}

/** A training event as progress: the mean FVU of the SAEs stands beside it. Warnings are notes. */
export function showTraining(event: TrainProgress, context: JobContext): void {
  const fvus = event.saes.flatMap(({ fvu }) => (fvu !== null && Number.isFinite(fvu) ? [fvu] : []))
  const fvu = fvus.length === 0 ? null : fvus.reduce((sum, value) => sum + value, 0) / fvus.length
  for (const sae of event.saes) tellWarnings(sae, context)
  context.progress(
    {
      stage: `training ${event.saes.length} SAE${event.saes.length === 1 ? '' : 's'}`,
      done: event.tokens,
      total: event.total_tokens,
      unit: 'tokens',
      figures: { fvu },
    },
    event,
  )
}

function tellWarnings({ name, warnings }: MemberProgress, context: JobContext): void {
  for (const { message, advice } of warnings) context.note(`warning: ${name}: ${message}; ${advice}`)
}

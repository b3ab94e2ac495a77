// What the user should know while an SAE trains, and what to change: unsuitable sparsity, dying latents,
// thresholds that do not move, activations off scale, jumps of the loss. Each is given once per SAE. Limits: TRN-7 and
// TRN-9 of the reference (only logged there), L0 20 … 200 as in published SAEs.
import type { TrainingWarning } from '@mistudio/contract'
import type { MemberConfig } from '../family.ts'
import type { Plan } from '../plan.ts'

export const warningKinds = [
  'l0_low',
  'l0_high',
  'l0_collapsing',
  'dead_latents',
  'thresholds_still',
  'activations_off_scale',
  'loss_spike',
] as const
export type WarningKind = (typeof warningKinds)[number]

/** What was measured, what to change, and when it was reported. */
export type Warning = TrainingWarning & { kind: WarningKind }
type Found = Omit<Warning, 'step'>

/** What is checked: means over the steps since the last report. */
export type Observation = {
  step: number
  totalSteps: number
  loss: number | null
  l0: number | null
  deadLatents: number | null
  /** Mean |θ − θ at the start| over latents and mean θ at the start; null without trained thresholds. */
  thresholds: { moved: number; start: number } | null
}

/** What is remembered of earlier reports; plain JSON, part of a checkpoint. */
export type WarningHistory = { said: Warning[]; l0: [step: number, l0: number][]; losses: number[] }

export const emptyHistory = (): WarningHistory => ({ said: [], l0: [], losses: [] })

export const l0Range = { least: 20, most: 200 } as const
const deadShare = 0.1
const stillShare = 0.001
const spikeFactor = 3
const rememberedReports = 64

/** New warnings of a report; earlier ones are not repeated. */
export function judge(options: {
  plan: Plan
  settings: Pick<MemberConfig, 'warmUpSteps' | 'sparsityWarmUpSteps' | 'resampleEverySteps'>
  seen: Observation
  history: WarningHistory
}): Warning[] {
  const { plan, settings, seen, history } = options
  const { step, totalSteps, l0, loss } = seen
  const warm = Math.max(settings.warmUpSteps ?? 0, settings.sparsityWarmUpSteps ?? 0)
  // Sparsity is checked after a tenth of the run to settle; if the warm-up lasts the whole run, from its half.
  const settled = step >= Math.max(totalSteps / 10, Math.min(warm, totalSteps / 2))
  const found: Found[] = []
  if (settled && l0 !== null) found.push(...sparsity({ plan, step, totalSteps, l0, history }))
  if (seen.deadLatents !== null) found.push(...dead({ plan, settings, deadLatents: seen.deadLatents }))
  if (settled && seen.thresholds !== null) found.push(...still(plan, seen.thresholds))
  if (loss !== null && step > warm) found.push(...spike(loss, history.losses))
  if (l0 !== null) history.l0 = [...history.l0, [step, l0] as [number, number]].slice(-rememberedReports)
  if (loss !== null && step > warm) history.losses = [...history.losses, loss].slice(-10)
  return once(found, history, step)
}

/** Leaves out earlier warnings and remembers the rest. */
export function once(found: readonly Found[], history: WarningHistory, step: number): Warning[] {
  const fresh = found
    .filter(({ kind }) => !history.said.some(said => said.kind === kind))
    .map(warning => ({ ...warning, step }))
  history.said.push(...fresh)
  return fresh
}

/** TRN-7: the activations of the first buffer as the SAE gets them. `std` and `mean` over all elements. */
export function judgeActivations(options: {
  hook: string
  std: number
  mean: number
  normalisation: MemberConfig['normalisation']
}): Found[] {
  const { hook, std, mean, normalisation } = options
  if (normalisation !== 'none' || (std >= 0.01 && std <= 100 && Math.abs(mean) <= 50)) return []
  return [
    {
      kind: 'activations_off_scale',
      message: `the activations of ${hook} have standard deviation ${figure(std)} and mean ${figure(mean)}`,
      advice: 'set normalisation to expected_average, so that published rates and penalties apply',
    },
  ]
}

function sparsity(options: {
  plan: Plan
  step: number
  totalSteps: number
  l0: number
  history: WarningHistory
}): Found[] {
  const { plan, step, totalSteps, l0, history } = options
  const found: Found[] = []
  const { more, fewer } = sparsityAdvice(plan)
  const { least, most } = l0Range
  if (l0 < least) {
    const message = `L0 is ${figure(l0)}, below ${least}: few latents fire at a token`
    found.push({ kind: 'l0_low', message, advice: more })
  }
  if (l0 > most) {
    const message = `L0 is ${figure(l0)}, above ${most}: the latents are hardly sparse`
    found.push({ kind: 'l0_high', message, advice: fewer })
  }
  // A tenth of the run ago, or the oldest that is remembered.
  const earlier = history.l0.findLast(([then]) => then <= step - totalSteps / 10)
  if (earlier !== undefined && l0 < least && l0 < earlier[1] / 2) {
    const message = `L0 fell from ${figure(earlier[1])} at step ${earlier[0]} to ${figure(l0)}`
    found.push({ kind: 'l0_collapsing', message, advice: more })
  }
  return found
}

/** Which setting makes more or fewer latents fire. */
function sparsityAdvice({ selection, penalty }: Plan): { more: string; fewer: string } {
  if ('k' in selection)
    return { more: 'raise k unless this is intended', fewer: 'lower k unless this is intended' }
  if (penalty?.kind === 'target_l0') {
    return {
      more: 'raise target_l0, or sparsity_coefficient, which holds L0 to it',
      fewer: 'lower target_l0, or raise sparsity_coefficient, which holds L0 to it',
    }
  }
  return {
    more: 'lower sparsity_coefficient by a factor of 2 to 5, or lengthen sparsity_warm_up_steps',
    fewer: 'raise sparsity_coefficient by a factor of 2 to 5',
  }
}

function dead(options: {
  plan: Plan
  settings: Pick<MemberConfig, 'resampleEverySteps'>
  deadLatents: number
}): Found[] {
  const { plan, settings, deadLatents } = options
  const { dSae } = plan.shape
  if (deadLatents <= deadShare * dSae) return []
  const share = Math.round((100 * deadLatents) / dSae)
  const remedies = [
    ...(plan.auxK === null && settings.resampleEverySteps === 0 && !('k' in plan.selection)
      ? ['set resample_every_steps']
      : []),
    ...(plan.auxK !== null || 'k' in plan.selection ? ['raise aux_coefficient'] : []),
    ...(plan.penalty === null ? [] : ['lower sparsity_coefficient or warm it up longer']),
    'lower the learning rate',
    'use fewer latents',
  ]
  return [
    {
      kind: 'dead_latents',
      message: `${deadLatents} of ${dSae} latents (${share} %) did not fire in the last ${plan.deadAfterTokens} tokens`,
      advice: remedies.join(', or '),
    },
  ]
}

function still(plan: Plan, { moved, start }: { moved: number; start: number }): Found[] {
  if (plan.selection.kind !== 'jumprelu' || !(moved <= stillShare * Math.max(start, 1e-9))) return []
  return [
    {
      kind: 'thresholds_still',
      message: `the thresholds have moved by ${figure(moved)} on average from ${figure(start)}`,
      advice: `raise bandwidth (now ${figure(plan.selection.bandwidth)}), since only pre-activations within half of it from a threshold move it, or raise the learning rate`,
    },
  ]
}

function spike(loss: number, losses: readonly number[]): Found[] {
  if (losses.length < 5) return []
  const sorted = [...losses].sort((a, b) => a - b)
  const usual = sorted[Math.floor(sorted.length / 2)]
  if (!(loss > spikeFactor * usual) || usual <= 0) return []
  return [
    {
      kind: 'loss_spike',
      message: `the loss jumped to ${figure(loss)} from about ${figure(usual)}`,
      advice:
        'lower the learning rate, clip the gradient (clip_norm 1), or drop outliers (outlier_norm_multiple 10)',
    },
  ]
}

const figure = (value: number): string => String(Number(value.toPrecision(3)))

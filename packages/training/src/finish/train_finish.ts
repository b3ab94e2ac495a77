// The end of an SAE's training: BatchTopK's threshold is calibrated on training tokens, everything that can be is folded,
// and the SAE is saved with all the settings that decided it.
import { join } from 'node:path'
import type { ActivationBuffer } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import { type HookSpan, type Normaliser, type Sae, type SaeWeights, saveSae } from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import type { CompleteMember } from '../member.ts'
import type { Run } from '../run_settings.ts'
import { type Calibration, createCalibrator } from './calibrate.ts'
import type { EarlyEnd } from './early_stop.ts'
import { finaliseSae } from './finalise.ts'

/** How an SAE's training ended. `dir` is relative to the run's folder; null if nothing was saved. */
export type TrainedSae = {
  name: string
  family: string
  inputs: readonly string[]
  outputs: readonly string[]
  dSae: number
  /** null for selections without k. */
  k: number | null
  dir: string | null
  status: 'completed' | 'stopped' | 'failed'
  /** Why it ended early: its FVU stopped falling or reached the target. */
  early: EarlyEnd | null
  error: string | null
  /** If it failed: the step of the newest checkpoint it can be retried from. */
  checkpoint: number | null
  step: number
  tokens: number
  deadLatents: number | null
  /** Over the last tenth of the run, at most about 50 steps, later ones weighing more. */
  fvu: number | null
  l0: number | null
  threshold: SavedThreshold | null
}

/** θ of BatchTopK: the running mean from training, and the one that gives mean L0 = k over `tokens` training tokens. */
export type SavedThreshold = {
  ema: number | null
  calibrated: number | null
  l0: number | null
  tokens: number | null
}

/** One SAE to finish, from a learner or from a checkpoint. */
export type Finishing = {
  member: CompleteMember
  weights: SaeWeights
  emaThreshold: number | null
  normalisers: ReadonlyMap<string, Normaliser>
  result: Omit<TrainedSae, 'threshold' | 'dir'>
}

export type FinishContext = {
  pool: WorkerPool
  run: Run
  out: string
  modelName: string
  datasets: readonly string[]
  contextSize: number
  /** Training tokens to calibrate on; if absent, the running threshold is kept. */
  calibration?: { buffer: ActivationBuffer; first: number; buffers: number }
}

/** Folds and saves SAEs that end together; those that need a threshold share one capture of the tokens for it. */
export async function finishMembers(
  finishing: readonly Finishing[],
  context: FinishContext,
): Promise<TrainedSae[]> {
  const saes = finishing.map(one => ({ ...one, sae: finalised(one) }))
  const calibrations = await calibrate(saes, context)
  const finished: TrainedSae[] = []
  for (const [i, { sae, member, result, emaThreshold }] of saes.entries()) {
    const batchTopK = member.plan.selection.kind === 'batchtopk'
    const found = calibrations[i]
    if (found !== undefined) sae.weights.threshold!.fill(found.threshold)
    const threshold: SavedThreshold | null = batchTopK
      ? {
          ema: emaThreshold,
          calibrated: found?.threshold ?? null,
          l0: found?.l0 ?? null,
          tokens: found?.tokens ?? null,
        }
      : null
    await saveSae({
      dir: join(context.out, member.name),
      sae,
      metadata: {
        modelName: context.modelName,
        contextSize: context.contextSize,
        trainingTokens: result.tokens,
        seed: context.run.seed,
        dataset: [...context.datasets],
        ...(threshold !== null && { thresholds: threshold }),
        training: {
          ...member.described,
          status: result.status,
          step: result.step,
          train_tokens: context.run.trainTokens,
          batch_size: context.run.batchSize,
          final_fvu: result.fvu,
          final_l0: result.l0,
          dead_latents: result.deadLatents,
          dead_after_tokens: member.plan.deadAfterTokens,
        },
      },
    })
    finished.push({ ...result, threshold, dir: member.name })
  }
  return finished
}

function finalised({ member, weights, emaThreshold, normalisers }: Finishing): Sae {
  const { family, plan, hooks } = member
  const of = (spans: readonly HookSpan[]) => spans.map(({ hook }) => normalisers.get(hook)!)
  return finaliseSae({
    family: family.name,
    plan,
    weights,
    // Before the first step there is no running threshold, so everything above 0 fires.
    threshold: plan.selection.kind === 'batchtopk' ? (emaThreshold ?? 0) : null,
    normalisers: { inputs: of(hooks.inputs), outputs: of(hooks.outputs) },
    hooks,
  })
}

/** A calibration for each SAE that needs and can have one. Buffers after those trained on come first. */
async function calibrate(
  saes: readonly { member: CompleteMember; sae: Sae }[],
  { pool, run, calibration }: FinishContext,
): Promise<(Calibration | undefined)[]> {
  const found = new Array<Calibration | undefined>(saes.length).fill(undefined)
  if (calibration === undefined || run.calibrationTokens === 0) return found
  const { buffer, first, buffers } = calibration
  const open: { i: number; calibrator: Awaited<ReturnType<typeof createCalibrator>>; hooks: string[] }[] = []
  try {
    for (const [i, { member, sae }] of saes.entries()) {
      const { selection } = member.plan
      if (selection.kind !== 'batchtopk') continue
      const calibrator = await createCalibrator({ pool, sae, k: selection.k })
      open.push({ i, calibrator, hooks: sae.hooks.inputs.map(({ hook }) => hook) })
    }
    let tokens = 0
    for (let w = 0; open.length > 0 && w < buffers && tokens < run.calibrationTokens; w++) {
      const count = await buffer.fill(first + w)
      for (const { calibrator, hooks } of open) {
        await calibrator.add({
          rows: buffer.rows,
          count,
          inputs: hooks.map(hook => buffer.activations(hook)),
        })
      }
      tokens += count
    }
    for (const { i, calibrator } of open) found[i] = settled(calibrator.finish)
    return found
  } finally {
    for (const { calibrator } of open) await calibrator.close()
  }
}

/** An SAE that was stopped early may not have k positive latents per token; it keeps its running threshold. */
function settled(finish: () => Calibration): Calibration | undefined {
  try {
    return finish()
  } catch (error) {
    if (error instanceof InputError) return undefined
    throw error
  }
}

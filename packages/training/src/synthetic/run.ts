// SAEs on synthetic ground truth: draws activations of known directions, trains members on them with the usual training
// loop, and scores what they found on held-out draws.
import { join } from 'node:path'
import { loadSae } from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import type { Settings } from '../fields.ts'
import { trainSaes } from '../run/train.ts'
import type { TrainProgress } from '../run/train_progress.ts'
import type { GivenRun } from '../run_settings.ts'
import { createSyntheticData, syntheticContextSize, syntheticHook } from './data.ts'
import { syntheticDefaults } from './defaults.ts'
import { createGroundTruth, type GroundTruthOptions } from './ground_truth.ts'
import { judgeSynthetic, type SyntheticScore } from './judge.ts'

/** Wire names: one line of `sae synthetic --json`. */
export type SyntheticResult = { family: string } & SyntheticScore & {
    /** In total: drawing, training, scoring. */
    seconds: number
  }

export type SyntheticMember = {
  name: string
  family: string
  /** On top of `syntheticDefaults`. */
  settings: Settings
  dSae: number
}

/** Held-out tokens behind fvu, l0 and alive, and thus all scores. */
export const syntheticHeldOutTokens = 131_072

/**
 * @param options.out an empty folder for the training, which the caller removes
 * @returns a score for each member, in their order; none where the training was stopped
 * @example
 * const members = [{ name: 'topk', family: 'topk', settings: { k: 5 }, dSae: 512 }]
 * const run = { trainTokens: 500_000 }
 * const [score] = await runSynthetic({ pool, truth: defaultGroundTruth, members, run, seed: 0, out: 'data/known' })
 * console.log(score.recovered, score.mmcs)
 */
export async function runSynthetic(options: {
  pool: WorkerPool
  truth: GroundTruthOptions
  members: readonly SyntheticMember[]
  run: Omit<GivenRun, 'trainTokens'> & { trainTokens: number }
  seed: number
  out: string
  heldOutTokens?: number
  stopped?: () => boolean
  onEvent?: (progress: TrainProgress) => void
}): Promise<SyntheticResult[]> {
  const { pool, members, run, seed, out, stopped, onEvent } = options
  const began = performance.now()
  const truth = createGroundTruth({ ...options.truth, seed })
  const windowTokens = run.windowTokens ?? 65_536
  const data = await createSyntheticData({ pool, truth, seed, stream: 'train', windowTokens })
  try {
    const { status } = await trainSaes({
      pool,
      forward: data.forward,
      source: data.source,
      contextsPerCall: Math.max(1, Math.floor(windowTokens / syntheticContextSize / 8)),
      members: members.map(({ name, family, settings, dSae }) => ({
        name,
        family,
        inputs: [syntheticHook],
        outputs: [],
        dSae,
        settings: { ...syntheticDefaults({ family, l0: truth.l0, dSae }), ...settings },
      })),
      settings: { checkpointEverySeconds: 1e6, ...run, windowTokens, seed },
      modelName: 'synthetic',
      datasets: ['ground truth'],
      out,
      stopped,
      onEvent,
    })
    if (status !== 'completed') return []
  } finally {
    await data.close()
  }
  const tokens = options.heldOutTokens ?? syntheticHeldOutTokens
  const results: SyntheticResult[] = []
  for (const { name, family } of members) {
    const sae = loadSae({ dir: join(out, name) })
    const score = await judgeSynthetic({ pool, truth, seed, sae, tokens })
    results.push({ family, ...score, seconds: (performance.now() - began) / 1000 })
  }
  return results
}

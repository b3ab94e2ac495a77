// The options of a training, and what they mean before it begins: everything completed and checked.
import { type ActivationSource, type ContextSource, type Forward, liveSource } from '@mistudio/capture'
import type { SaeWeights } from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import type { CompleteMember, TrainMember } from '../member.ts'
import { completeRun, type GivenRun, type Run } from '../run_settings.ts'
import type { CreateLearner } from './train_member.ts'
import type { TrainProgress } from './train_progress.ts'
import { completeMembers, describeRun } from './train_settings.ts'

/** Called between steps. `pause`: only writes a checkpoint; `stop`: also saves the SAEs in their current state. */
export type Control =
  | { kind: 'run' }
  | { kind: 'pause' }
  | { kind: 'stop' }
  /** Ends one SAE and saves it; the others continue. */
  | { kind: 'stop_sae'; name: string }

export type TrainOptions = {
  pool: WorkerPool
  members: readonly TrainMember[]
  settings: GivenRun
  /** Default: the fast learner. */
  createLearner?: CreateLearner
  /** Initial weights by member name; default drawn from the seed. Either way they are fitted to the first batch. */
  initialWeights?: ReadonlyMap<string, SaeWeights>
  modelName: string
  datasets: readonly string[]
  /** SAEs are saved to `<out>/<name>`, checkpoints to `<out>/checkpoints/<step>`. */
  out: string
  resume?: boolean
  /** Where model and datasets are, as plain JSON: kept in checkpoints for `sae finalise`, never compared. */
  origin?: unknown
  control?: () => Control
  /** Short for `control`: true stops. */
  stopped?: () => boolean
  onEvent?: (progress: TrainProgress) => void
} & (Captured | { activations: ActivationSource })

/** Activations captured from a model that outputs every hook point in one pass. */
type Captured = { forward: Forward; contextsPerCall: number; source: ContextSource }

/** A run with everything chosen and checked. */
export type PlannedRun = {
  run: Run
  activations: ActivationSource
  members: CompleteMember[]
  described: Record<string, unknown>
}

/** Completes and checks what a training would do, without doing it. @throws InputError for settings that cannot work */
export function planTraining(options: TrainOptions): PlannedRun {
  const activations = 'activations' in options ? options.activations : liveSource(options)
  const run = completeRun(options.settings, activations)
  const members = completeMembers({ members: options.members, run, widthOf: activations.widthOf })
  const { modelName, datasets } = options
  const { contextSize } = activations
  return {
    run,
    activations,
    members,
    described: describeRun({ run, members, modelName, datasets, contextSize }),
  }
}

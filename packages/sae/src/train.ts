// The training loop: every SAE of a run takes one step on the same tokens, captured once.
// All randomness is a function of (seed, position), all sums have fixed blocks, so a run that was killed and
// resumed ends with the same bits as one that never stopped (same CPU type, versions and runtime).
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Lanes } from '@mistudio/tensor'
import { checkSettings, readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import { learningRateAt } from './schedule.ts'
import { type ContextSource, type Forward, widthOf } from './sources.ts'
import { families, type Learner, type SaeWeights } from './topk_learner/families.ts'
import { saveTopK } from './topk_learner/save_topk.ts'
import type { TopKConfig } from './topk_learner/topk_config.ts'
import {
  addStep,
  createPace,
  emptyStretch,
  memberProgress,
  type Stretch,
  type TrainProgress,
} from './train_progress.ts'
import { earlierTraining, writeTraining } from './train_record.ts'
import { type CompleteSettings, completeSettings, type TrainSettings } from './train_settings.ts'
import {
  addMoments,
  createActivationWindow,
  readMoments,
  type WindowMoments,
  writeMoments,
} from './window.ts'

/** One SAE of a run. */
export type TrainMember = {
  name: string
  hook: string
  dSae: number
  config: Partial<TopKConfig> & { k: number }
}

/** `dir` is relative to the run's folder. */
export type TrainedSae = {
  name: string
  hook: string
  dir: string
  scale: number
  tokens: number
  deadLatents: number | null
}
export type TrainResult = {
  status: 'completed' | 'stopped'
  step: number
  tokens: number
  saes: TrainedSae[]
}

export type TrainOptions = {
  lanes: Lanes
  /** Captures every member's hook point in one pass. */
  forward: Forward
  contextsPerCall: number
  source: ContextSource
  members: TrainMember[]
  settings: Partial<TrainSettings> & { trainTokens: number }
  /** Initial weights by member's name, default drawn from the seed. b_dec is set from the first batch in any case. */
  initialWeights?: ReadonlyMap<string, SaeWeights>
  modelName: string
  datasets: string[]
  /** SAEs are saved to `<out>/<name>`, checkpoints to `<out>/checkpoint`. */
  out: string
  resume?: boolean
  /** Asked between steps; true saves a checkpoint and the SAEs as they are. */
  stopped?: () => boolean
  onEvent?: (progress: TrainProgress) => void
}

type Running = TrainMember & { learner: Learner; scale: number; stretch: Stretch }

/**
 * Trains all members and saves them.
 * @throws InputError for settings that cannot work; Error naming step, SAE and checkpoint when a loss is NaN
 */
export async function trainSaes(options: TrainOptions): Promise<TrainResult> {
  const { lanes, forward, contextsPerCall, source, out, stopped = () => false, onEvent = () => {} } = options
  const settings = completeSettings({ settings: options.settings, members: options.members, source })
  const { batchSize, totalSteps, clipNorm, seed } = settings
  const dir = join(out, 'checkpoint')
  const described = describe(options, settings)
  const finished = earlierTraining({ out, settings: described, resume: options.resume === true })
  if (finished !== undefined) return finished
  const saved = options.resume
    ? readCheckpoint({ dir, names: options.members.map(({ name }) => name) })
    : undefined
  if (saved !== undefined) {
    checkSettings({ file: join(dir, 'state.json'), saved: saved.state.settings, asked: described })
  }
  const hooks = [...new Set(options.members.map(({ hook }) => hook))]
  const configs = options.members.map(({ hook, dSae, config }) => {
    const shape = { dIn: widthOf(forward, hook), dSae }
    return { shape, config: families.topk.config(config, { shape, trainTokens: settings.trainTokens }) }
  })

  const contexts = settings.windowContexts
  const window = await createActivationWindow({
    lanes,
    forward,
    contextsPerCall,
    hooks,
    source,
    seed,
    contexts,
  })
  const members: Running[] = []
  const moments = new Map<string, WindowMoments>(
    Object.entries(saved?.state.moments ?? {}).map(([hook, sums]) => [hook, readMoments(sums)]),
  )
  let { step, window: windowIndex, batch } = saved?.state ?? { step: 0, window: 0, batch: 0 }
  let checkpointed = { step: saved?.state.step, at: performance.now() }
  const pace = createPace({ step, totalSteps, batchSize })

  try {
    for (const [m, member] of options.members.entries()) {
      const weights = options.initialWeights?.get(member.name)
      const learner = await families.topk.learner({ lanes, ...configs[m], batchSize, seed, weights })
      members.push({
        ...member,
        learner,
        scale: saved?.state.scales[member.name] ?? 1,
        stretch: emptyStretch(),
      })
      const state = saved?.saes.get(member.name)
      if (state !== undefined) learner.restore(state)
    }
    let batches = 0
    while (step < totalSteps && !stopped()) {
      if (batch >= batches) {
        // A resume comes here with batches = 0 and captures its window again; it was counted before.
        const resumed = batches === 0 && batch > 0
        if (batches > 0) {
          windowIndex++
          batch = 0
        }
        batches = Math.floor((await window.fill(windowIndex)) / batchSize)
        settings.checkWindow(batches * batchSize, windowIndex)
        if (!resumed)
          for (const hook of hooks) moments.set(hook, addMoments(moments.get(hook), window.moments(hook)))
        if (step === 0) await initialise()
        if (batch >= batches) continue
      }
      const learningRate = learningRateAt(settings.schedule, step)
      for (const { learner, scale, hook, stretch, name } of members) {
        const rows = { ...window.rows, offset: window.rows.offset + batch * batchSize * 4 }
        await learner.load({ rows, activations: window.activations(hook), scale })
        await learner.encode()
        await learner.decode()
        const norm = await learner.gradients()
        const { loss } = learner.loss()
        if (!Number.isFinite(loss + norm))
          throw divergence({ name, loss, step, dir, last: checkpointed.step })
        await learner.update({
          learningRate,
          clipScale: clipNorm > 0 && norm > clipNorm ? clipNorm / norm : 1,
        })
        await learner.afterStep()
        addStep(stretch, { learner, scale, norm })
      }
      step++
      batch++
      if (step < totalSteps && checkpointDue()) {
        await checkpoint()
        report('training:checkpoint', 'training')
      } else if (pace.secondsSinceLap() >= 1) report('training:progress', 'training')
    }
    const status = step >= totalSteps ? 'completed' : 'stopped'
    if (status === 'stopped') await checkpoint()
    const result: TrainResult = { status, step, tokens: step * batchSize, saes: await saveMembers() }
    report(`training:${status}`, status)
    writeTraining({ out, settings: described, result })
    if (status === 'completed') rmSync(dir, { recursive: true, force: true })
    return result
  } finally {
    for (const { learner } of members) await learner.close()
    await window.close()
  }

  /** Scales from the first window's tokens, b_dec from the first batch. */
  async function initialise() {
    for (const member of members) {
      const { tokens, sumNorms } = window.moments(member.hook)
      // E‖x‖ · scale = √d_in (SAELens's expected_average_only_in).
      if (settings.normalisation === 'expected_average') {
        member.scale = (Math.sqrt(member.learner.shape.dIn) * tokens) / sumNorms
      }
      const activations = window.activations(member.hook)
      await member.learner.initialise({ rows: window.rows, activations, scale: member.scale })
    }
  }

  function checkpointDue(): boolean {
    const { checkpointEverySteps: steps, checkpointEverySeconds: seconds } = settings
    return steps > 0 ? step % steps === 0 : performance.now() - checkpointed.at >= seconds * 1000
  }

  async function checkpoint() {
    const state = {
      settings: described,
      step,
      window: windowIndex,
      batch,
      scales: Object.fromEntries(members.map(({ name, scale }) => [name, scale])),
      moments: Object.fromEntries(Array.from(moments, ([hook, sums]) => [hook, writeMoments(sums)])),
    }
    await writeCheckpoint({
      dir,
      state,
      saes: new Map(members.map(({ name, learner }) => [name, learner.state()])),
    })
    checkpointed = { step, at: performance.now() }
  }

  function report(event: TrainProgress['event'], status: TrainProgress['status']) {
    onEvent({
      event,
      status,
      step,
      total_steps: totalSteps,
      tokens: step * batchSize,
      total_tokens: totalSteps * batchSize,
      ...pace.lap(step),
      learning_rate: learningRateAt(settings.schedule, Math.max(step - 1, 0)),
      saes: members.map(({ name, hook, stretch, learner }) =>
        memberProgress({ name, stretch, learner, moments: moments.get(hook) }),
      ),
    })
    for (const member of members) member.stretch = emptyStretch()
  }

  async function saveMembers(): Promise<TrainedSae[]> {
    const tokens = step * batchSize
    const { modelName, datasets } = options
    for (const { name, hook, learner, scale, config } of members) {
      const metadata = {
        modelName,
        hookPoint: hook,
        contextSize: source.contextSize,
        trainingTokens: tokens,
        seed,
        dataset: datasets,
      }
      await saveTopK({
        dir: join(out, name),
        shape: learner.shape,
        k: config.k,
        weights: learner.weights(),
        scale,
        metadata,
      })
    }
    return members.map(({ name, hook, scale, learner }) => ({
      name,
      hook,
      dir: name,
      scale,
      tokens,
      deadLatents: learner.loss().deadLatents,
    }))
  }
}

/** What decides the weights, as plain JSON. When checkpoints are written does not. */
function describe(options: TrainOptions, settings: CompleteSettings): Record<string, unknown> {
  const { checkpointEverySteps: _steps, checkpointEverySeconds: _seconds, ...rest } = settings
  const { members, modelName: model, datasets, source } = options
  return JSON.parse(JSON.stringify({ ...rest, members, model, datasets, context_size: source.contextSize }))
}

function divergence(options: {
  name: string
  loss: number
  step: number
  dir: string
  last: number | undefined
}): Error {
  const { name, loss, step, dir, last } = options
  const kept =
    last === undefined ? 'there is no checkpoint yet' : `the last good checkpoint is ${dir}, of step ${last}`
  return new Error(`training diverged: the loss of ${name} is ${loss} at step ${step}; ${kept}`)
}

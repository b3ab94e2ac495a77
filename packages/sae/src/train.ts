// The training loop: every SAE of a run takes one step on the same tokens, captured once.
// All randomness is a function of (seed, position), all sums have fixed blocks, so a run that was killed and
// resumed ends with the same bits as one that never stopped (same CPU type, versions and runtime).
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Lanes } from '@mistudio/tensor'
import { checkSettings, readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import type { TopKConfig } from './families/topk_config.ts'
import { families, type Learner, type StepLoss } from './families.ts'
import { saveSaeLens } from './formats/saelens.ts'
import { totalVariance } from './metrics.ts'
import { learningRateAt } from './schedule.ts'
import { type ContextSource, type Forward, widthOf } from './sources.ts'
import { earlierTraining, writeTraining } from './train_record.ts'
import { completeSettings, type TrainSettings } from './train_settings.ts'
import { createActivationWindow, type WindowMoments } from './window.ts'

/** One SAE of a run. */
export type TrainMember = {
  name: string
  hook: string
  dSae: number
  config: Partial<TopKConfig> & { k: number }
}

export type TrainProgress = {
  event: 'training:progress' | 'training:checkpoint' | 'training:completed' | 'training:stopped'
  status: 'training' | 'completed' | 'stopped'
  step: number
  total_steps: number
  tokens: number
  total_tokens: number
  /** Over the stretch since the last event. */
  tokens_per_second: number
  /** null before the first step of this process. */
  eta_seconds: number | null
  learning_rate: number
  saes: MemberProgress[]
}

/**
 * Means over the steps since the last event, null where there was none; `fvu` against the variance of all tokens
 * captured so far.
 */
export type MemberProgress = {
  name: string
  loss: number | null
  mse: number | null
  aux: number | null
  fvu: number | null
  l0: number | null
  /** Latents silent for `dead_after_tokens`; null while fewer tokens were seen. */
  dead_latents: number | null
  grad_norm: number | null
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
  modelName: string
  datasets: string[]
  /** SAEs are saved to `<out>/<name>`, checkpoints to `<out>/checkpoint`. */
  out: string
  resume?: boolean
  /** Asked between steps; true saves a checkpoint and the SAEs as they are. */
  stopped?: () => boolean
  onEvent?: (progress: TrainProgress) => void
}

type Running = TrainMember & {
  learner: Learner
  scale: number
  stretch: {
    steps: number
    loss: number
    mse: number
    aux: number
    rows: number
    squaredError: number
    firing: number
    gradNorm: number
  }
}

const emptyStretch = () => ({
  steps: 0,
  loss: 0,
  mse: 0,
  aux: 0,
  rows: 0,
  squaredError: 0,
  firing: 0,
  gradNorm: 0,
})

/**
 * Trains all members and saves them.
 * @throws InputError for settings that cannot work; Error naming step, SAE and checkpoint when a loss is NaN
 */
export async function trainSaes(options: TrainOptions): Promise<TrainResult> {
  const { lanes, forward, contextsPerCall, source, out, stopped = () => false, onEvent = () => {} } = options
  const settings = completeSettings({ settings: options.settings, members: options.members, source })
  const { batchSize, totalSteps, clipNorm, seed } = settings
  const dir = join(out, 'checkpoint')
  const described = {
    ...settings,
    members: options.members,
    model: options.modelName,
    datasets: options.datasets,
    context_size: source.contextSize,
  }
  const finished = earlierTraining({ out, settings: described, resume: options.resume === true })
  if (finished !== undefined) return finished
  const hooks = [...new Set(options.members.map(({ hook }) => hook))]
  const saved = options.resume
    ? readCheckpoint({ dir, names: options.members.map(({ name }) => name) })
    : undefined
  if (saved !== undefined)
    checkSettings({
      file: join(dir, 'state.json'),
      saved: saved.state.settings,
      asked: JSON.parse(JSON.stringify(described)),
    })

  const window = await createActivationWindow({
    lanes,
    forward,
    contextsPerCall,
    hooks,
    source,
    seed,
    contexts: settings.windowContexts,
  })
  const position = { window: saved?.state.window ?? 0, batch: saved?.state.batch ?? 0 }
  const moments = new Map<string, WindowMoments>()
  const members: Running[] = []
  for (const member of options.members) {
    const shape = { dIn: widthOf(forward, member.hook), dSae: member.dSae }
    const config = families.topk.config(member.config, { shape, trainTokens: settings.trainTokens })
    const learner = await families.topk.learner({ lanes, shape, config, batchSize, seed })
    const state = saved?.saes.get(member.name)
    if (state !== undefined) learner.restore(state)
    members.push({
      ...member,
      learner,
      scale: saved?.state.scales[member.name] ?? 1,
      stretch: emptyStretch(),
    })
  }

  const addMoments = () => {
    for (const hook of hooks) {
      const now = window.moments(hook)
      const before = moments.get(hook) ?? {
        tokens: 0,
        sum: new Float64Array(now.sum.length),
        sumSquares: 0,
        sumNorms: 0,
      }
      moments.set(hook, {
        tokens: before.tokens + now.tokens,
        sum: before.sum.map((value, j) => value + now.sum[j]),
        sumSquares: before.sumSquares + now.sumSquares,
        sumNorms: before.sumNorms + now.sumNorms,
      })
    }
  }
  for (const [hook, { tokens, sum, sumSquares }] of Object.entries(saved?.state.moments ?? {})) {
    moments.set(hook, { tokens, sum: Float64Array.from(sum), sumSquares, sumNorms: 0 })
  }

  let step = saved?.state.step ?? 0
  let batches = 0
  let lastCheckpoint: number | undefined = saved?.state.step
  let clock = { at: performance.now(), step, checkpoint: performance.now() }
  const began = { at: performance.now(), step }

  const checkpoint = async () => {
    await writeCheckpoint({
      dir,
      state: {
        settings: described,
        step,
        ...position,
        scales: Object.fromEntries(members.map(({ name, scale }) => [name, scale])),
        moments: Object.fromEntries(
          Array.from(moments, ([hook, { tokens, sum, sumSquares }]) => [
            hook,
            { tokens, sum: [...sum], sumSquares },
          ]),
        ),
      },
      saes: new Map(members.map(({ name, learner }) => [name, learner.state()])),
    })
    lastCheckpoint = step
    clock.checkpoint = performance.now()
  }

  const report = (event: TrainProgress['event'], status: TrainProgress['status']) => {
    const now = performance.now()
    const rate = ((step - clock.step) * batchSize * 1000) / Math.max(now - clock.at, 1)
    const mean = (step - began.step) / Math.max(now - began.at, 1)
    onEvent({
      event,
      status,
      step,
      total_steps: totalSteps,
      tokens: step * batchSize,
      total_tokens: totalSteps * batchSize,
      tokens_per_second: rate,
      eta_seconds: step > began.step ? Math.ceil((totalSteps - step) / mean / 1000) : null,
      learning_rate: learningRateAt(settings.schedule, Math.max(step - 1, 0)),
      saes: members.map(member => memberProgress(member, moments.get(member.hook))),
    })
    for (const member of members) member.stretch = emptyStretch()
    clock = { ...clock, at: now, step }
  }

  try {
    while (step < totalSteps && !stopped()) {
      if (position.batch >= batches) {
        // A resume comes here with a batch > 0: the window is captured again, the batches before it are skipped.
        const fresh = batches > 0 || position.batch === 0
        if (batches > 0) {
          position.window++
          position.batch = 0
        }
        batches = Math.floor((await window.fill(position.window)) / batchSize)
        settings.checkWindow(batches * batchSize, position.window)
        if (fresh) addMoments()
        if (step === 0) await initialise()
        if (position.batch >= batches) continue
      }
      const learningRate = learningRateAt(settings.schedule, step)
      for (const member of members) {
        const { learner, scale, hook } = member
        const batch = {
          rows: { ...window.rows, offset: window.rows.offset + position.batch * batchSize * 4 },
          activations: window.activations(hook),
          scale,
        }
        await learner.load(batch)
        await learner.encode()
        await learner.decode()
        const norm = await learner.gradients()
        const loss = learner.loss()
        if (!Number.isFinite(loss.loss) || !Number.isFinite(norm))
          throw divergence(member, step, loss, dir, lastCheckpoint)
        await learner.update({
          learningRate,
          clipScale: clipNorm > 0 && norm > clipNorm ? clipNorm / norm : 1,
        })
        await learner.afterStep()
        addStep(member, loss, norm)
      }
      step++
      position.batch++
      const now = performance.now()
      const due =
        settings.checkpointEverySteps > 0
          ? step % settings.checkpointEverySteps === 0
          : now - clock.checkpoint >= settings.checkpointEverySeconds * 1000
      if (due && step < totalSteps) {
        await checkpoint()
        report('training:checkpoint', 'training')
      } else if (now - clock.at >= 1000) report('training:progress', 'training')
    }
    const completed = step >= totalSteps
    if (!completed) await checkpoint()
    const saes = await saveMembers(completed)
    report(completed ? 'training:completed' : 'training:stopped', completed ? 'completed' : 'stopped')
    const result: TrainResult = {
      status: completed ? 'completed' : 'stopped',
      step,
      tokens: step * batchSize,
      saes,
    }
    writeTraining({ out, settings: described, result })
    if (completed) rmSync(dir, { recursive: true, force: true })
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
      await member.learner.initialise({
        rows: window.rows,
        activations: window.activations(member.hook),
        scale: member.scale,
      })
    }
  }

  async function saveMembers(completed: boolean): Promise<TrainedSae[]> {
    const result: TrainedSae[] = []
    for (const { name, hook, learner, scale, config } of members) {
      const tokens = step * batchSize
      await saveSaeLens({
        dir: join(out, name),
        shape: learner.shape,
        k: config.k,
        weights: learner.weights(),
        scale,
        metadata: {
          modelName: options.modelName,
          hookPoint: hook,
          contextSize: source.contextSize,
          trainingTokens: tokens,
          seed,
          dataset: options.datasets,
        },
      })
      result.push({
        name,
        hook,
        dir: name,
        scale,
        tokens,
        deadLatents: completed ? learner.loss().deadLatents : null,
      })
    }
    return result
  }
}

function addStep(member: Running, loss: StepLoss, norm: number) {
  const { stretch, learner, scale } = member
  const { rows, squaredError, firing } = learner.sums()
  stretch.steps++
  stretch.loss += loss.loss
  stretch.mse += loss.mse
  stretch.aux += loss.aux
  stretch.rows += rows
  stretch.squaredError += squaredError / scale ** 2
  stretch.firing += firing
  stretch.gradNorm += norm
}

function memberProgress(
  { name, stretch, learner }: Running,
  moments: WindowMoments | undefined,
): MemberProgress {
  const { steps, rows } = stretch
  const mean = (sum: number) => (steps === 0 ? null : sum / steps)
  const variance = moments === undefined ? 0 : totalVariance(moments) / moments.tokens
  return {
    name,
    loss: mean(stretch.loss),
    mse: mean(stretch.mse),
    aux: mean(stretch.aux),
    fvu: rows > 0 && variance > 0 ? stretch.squaredError / rows / variance : null,
    l0: rows > 0 ? stretch.firing / rows : null,
    dead_latents: learner.loss().deadLatents,
    grad_norm: mean(stretch.gradNorm),
  }
}

function divergence(
  member: Running,
  step: number,
  loss: StepLoss,
  dir: string,
  last: number | undefined,
): Error {
  const kept =
    last === undefined ? 'there is no checkpoint yet' : `the last good checkpoint is ${dir}, of step ${last}`
  return new Error(`training diverged: the loss of ${member.name} is ${loss.loss} at step ${step}; ${kept}`)
}

// Advice before a training starts (TRN-18, TRN-8): estimates of memory, disk and time from the shapes and
// from what probe.ts measured on this machine, what does not fit and what would, and which λ looks wrong. Nothing is
// allocated here. Keys are wire names: the command line and the studio show them unchanged.
import type { Advice as WireAdvice, Suggestion as WireSuggestion } from '@mistudio/contract'
import { learnerBytes } from '../learner/block.ts'
import type { CompleteMember } from '../member.ts'
import type { Plan } from '../plan.ts'
import { adviseSparsity, type SparsityAdvice, scaleOf } from './advice_sparsity.ts'
import { costOf, type Probe, planKind } from './probe.ts'

export type AdviceRun = {
  batchSize: number
  totalSteps: number
  windowContexts: number
  contextSize: number
  storedDtype: 'float32' | 'bfloat16'
  keepLast: number
  keepBest: boolean
}

export type AdviceOptions = {
  members: readonly CompleteMember[]
  run: AdviceRun
  /** Bytes of the model's weights in float32. */
  modelBytes: number
  workers: number
  /** Free bytes of memory and of the disk the run is written to. */
  machine: { memoryBytes: number; diskBytes: number }
  probe: Probe | null
  /** The same members with other sizes. @throws InputError if the family does not allow them */
  replan: (sizes: { dSaeScale: number; batchSize: number }) => readonly CompleteMember[]
}

type Suggestion = WireSuggestion & { value: number }

/** The wire's, without whether this machine is busy, which only the studio knows. */
export type Advice = Omit<WireAdvice, 'busy' | 'suggestions' | 'warnings'> & {
  suggestions: Suggestion[]
  warnings: { field: string; message: string; suggestion: Suggestion | null }[]
}

/** What the process takes on top of the estimate: the runtime, its stacks, graphs. */
const processBytes = 200 * 2 ** 20

export function adviseTraining(options: AdviceOptions): Advice {
  const { members, run, machine, probe } = options
  const parameters = sum(members.map(({ plan }) => parametersOf(plan)))
  const memory = { ...memoryOf(options, { members, run }), available: machine.memoryBytes }
  const disk = { ...diskOf(members, run), available: machine.diskBytes }
  const refusal = refusalOf(memory, disk)
  return {
    saes: members.length,
    steps: run.totalSteps,
    parameters,
    memory,
    disk,
    time: probe === null ? null : timeOf(options, probe),
    measured:
      probe === null
        ? null
        : {
            gflops: probe.gflops,
            capture_tokens_per_second: probe.captureTokensPerSecond,
            seconds: probe.seconds,
          },
    fits: refusal === null,
    refusal,
    suggestions: refusal === null ? [] : whatFits(options),
    ...sparsityOf(members, probe),
  }
}

/** Encoder and decoder rows, biases and the family's extra parameters. */
export function parametersOf({ shape, groups, selection, skip }: Plan): number {
  const rows = sum(
    groups.map(({ latents, input, output }) => width(latents) * (width(input) + width(output))),
  )
  const byLatent = selection.kind === 'gated' ? 3 : selection.kind === 'jumprelu' ? 2 : 1
  return rows + shape.dSae * byLatent + shape.dOut + (skip ? shape.dIn * shape.dOut : 0)
}

type Sized = { members: readonly CompleteMember[]; run: AdviceRun }

function memoryOf({ modelBytes, workers }: AdviceOptions, { members, run }: Sized) {
  const hooks = new Map(
    members.flatMap(({ hooks }) =>
      [...hooks.inputs, ...hooks.outputs].map(({ hook, width }) => [hook, width]),
    ),
  )
  const tokens = run.windowContexts * run.contextSize
  const perValue = run.storedDtype === 'bfloat16' ? 2 : 4
  // Each hook point's rows, and 16 bytes a token of masks, norms and order.
  const window = sum([...hooks.values()].map(d => tokens * (d * perValue + 16)))
  const learners = sum(members.map(({ plan }) => learnerBytes({ plan, batchSize: run.batchSize, workers })))
  // One copy of the weights to read from, and one in each worker's session.
  const model = modelBytes * (1 + workers)
  return { model, window, learners, total: model + window + learners + processBytes }
}

function diskOf(members: readonly CompleteMember[], run: AdviceRun) {
  const saes = 4 * sum(members.map(({ plan }) => parametersOf(plan)))
  // Weights, two moments, and when each latent last fired; a new one is written before an old one is deleted.
  const one = 3 * saes + 8 * sum(members.map(({ plan }) => plan.shape.dSae))
  const checkpoints = one * (run.keepLast + (run.keepBest ? 1 : 0) + 1)
  return { checkpoints, saes, total: checkpoints + saes }
}

/** Step times scale by cost from a measured plan of the same kind, or else from the GEMM's speed. */
function timeOf({ members, run }: AdviceOptions, probe: Probe) {
  const tokens = run.totalSteps * run.batchSize
  const capture = probe.captureTokensPerSecond === null ? 0 : tokens / probe.captureTokensPerSecond
  const step = sum(
    members.map(({ plan }) => {
      const measured = probe.steps.find(({ kind }) => kind === planKind(plan))
      const rate = measured === undefined ? probe.gflops * 1e9 : measured.flopsPerSecond
      return costOf(plan, run.batchSize) / rate
    }),
  )
  const total = capture + step * run.totalSteps
  return {
    capture_seconds: capture,
    step_seconds: step,
    total_seconds: total,
    tokens_per_second: tokens / Math.max(total, 1e-9),
  }
}

function refusalOf(
  memory: { total: number; available: number },
  disk: { total: number; available: number },
): string | null {
  if (memory.total > memory.available) {
    return `it needs ${gigabytes(memory.total)} of memory and ${gigabytes(memory.available)} is free`
  }
  if (disk.total > disk.available) {
    return `it needs ${gigabytes(disk.total)} of disk and ${gigabytes(disk.available)} is free`
  }
  return null
}

/** The largest sizes that fit, each changed alone. */
function whatFits(options: AdviceOptions): Suggestion[] {
  const { members, run, machine, replan } = options
  const fits = (sized: Sized) =>
    memoryOf(options, sized).total <= machine.memoryBytes &&
    diskOf(sized.members, sized.run).total <= machine.diskBytes
  const planned = (sizes: { dSaeScale: number; batchSize: number }): Sized | undefined => {
    try {
      return { members: replan(sizes), run: { ...run, batchSize: sizes.batchSize } }
    } catch {
      return undefined
    }
  }
  const found: Suggestion[] = []
  const reason = 'the largest that fits'
  const fewer = members.findLastIndex((_, i) => fits({ members: members.slice(0, i + 1), run }))
  if (fewer >= 0) found.push({ field: 'members', value: fewer + 1, reason: 'the most SAEs that fit at once' })
  const dSae = Math.max(...members.map(({ plan }) => plan.shape.dSae))
  for (let scale = 0.5; dSae * scale >= 64; scale /= 2) {
    const sized = planned({ dSaeScale: scale, batchSize: run.batchSize })
    if (sized === undefined || !fits(sized)) continue
    found.push({ field: 'd_sae', value: Math.floor(dSae * scale), reason })
    break
  }
  for (
    let batchSize = Math.floor(run.batchSize / 2);
    batchSize >= 64;
    batchSize = Math.floor(batchSize / 2)
  ) {
    const sized = planned({ dSaeScale: 1, batchSize })
    if (sized === undefined || !fits(sized)) continue
    found.push({ field: 'batch_size', value: batchSize, reason })
    break
  }
  return found
}

/** One remark on λ for all members that share it. */
function sparsityOf(
  members: readonly CompleteMember[],
  probe: Probe | null,
): Pick<Advice, 'warnings' | 'reasons'> {
  const warnings: Advice['warnings'] = []
  const reasons = new Set<string>()
  for (const { plan, settings, hooks } of members) {
    const [{ hook, width }] = hooks.outputs
    const { normalisation } = settings
    const scale = scaleOf({ normalisation, width, measured: probe?.scales[hook] })
    const advice = adviseSparsity({ plan, scale })
    if (advice === null) continue
    reasons.add(advice.reason)
    const warning = warningOf(advice)
    if (warning !== null && !warnings.some(({ message }) => message === warning.message)) {
      warnings.push(warning)
    }
  }
  return { warnings, reasons: [...reasons] }
}

function warningOf({ suggested, warning, reason }: SparsityAdvice): Advice['warnings'][number] | null {
  if (warning === null || suggested === null) return null
  const field = 'sparsity_coefficient'
  return { field, message: warning, suggestion: { field, value: suggested, reason } }
}

/** One line for a terminal. */
export function adviceLine({ saes, steps, memory, disk, time }: Advice): string {
  const parts = [
    `${saes} SAE${saes === 1 ? '' : 's'}`,
    `${steps.toLocaleString('en')} steps`,
    `${gigabytes(memory.total)} of ${gigabytes(memory.available)} memory`,
    `${gigabytes(disk.total)} disk`,
    ...(time === null ? [] : [`about ${duration(time.total_seconds)}`]),
  ]
  return parts.join(', ')
}

const width = ([from, to]: readonly [number, number]) => to - from
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const gigabytes = (bytes: number) =>
  bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
const duration = (seconds: number) => {
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}

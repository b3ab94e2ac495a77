// The second pass of an evaluation: what the reconstructions do to the model's predictions. The contexts of a call run
// untouched, with 0, with the mean activation and with each SAE's reconstruction at the unmasked positions of its output
// hook points, one after the other on the same worker, so that only the worker holds log-probabilities (model/src/splice.ts).

import { type ContextSource, type Forward, widthOf } from '@mistudio/capture'
import type { Encoder, HitRoom } from '@mistudio/sae'
import type { Task, WorkerPlace, WorkerPool } from '@mistudio/tensor'
import { createCaptures, createMatrices } from './captures.ts'
import type { ModelSums } from './report.ts'

/** A compiled splice (compileSplice of packages/model), as a structural type. */
export type SpliceForward = {
  readonly inputs: readonly { name: string; width: number }[]
  readonly hooks: readonly string[]
  readonly frontier: readonly string[]
  readonly contextsPerCall: number
  readonly vocabSize: number
  tasks(options: { contexts: number; places: Record<string, WorkerPlace> }): Task[]
}

/** Losses and divergences of one context; losses count where `scored` is 1, divergences where `usable` is. */
export type ContextLosses = {
  context: number
  scored: Uint8Array
  usable: Uint8Array
  clean: Float32Array
  spliced: Float32Array
  zero: Float32Array
  mean: Float32Array
  klSpliced: Float32Array
  klZero: Float32Array
  klMean: Float32Array
}

type SplicedMember = { encoder: Encoder; splice: SpliceForward; sums: ModelSums }

export type SplicedOptions = {
  pool: WorkerPool
  members: readonly SplicedMember[]
  prefix: Forward
  /** Contexts of one call of the prefix. */
  contextsPerCall: number
  source: ContextSource
  /** How many contexts from the start of the source. */
  contexts: number
  /** Mean activation over the unmasked tokens, by hook point. */
  means: Readonly<Record<string, Float64Array>>
  onContext?: (member: number, losses: ContextLosses) => void
  onBatch?: (done: number) => void
  stopped?: () => boolean
}

const kinds = ['clean', 'zero', 'mean'] as const

/** Adds to the members' sums. */
export async function addSplicedRuns(options: SplicedOptions): Promise<void> {
  const { pool, members, prefix, source, contexts, onContext, onBatch, stopped } = options
  if (members.length === 0 || contexts === 0) return
  const { contextSize } = source
  const groups = [...new Set(members.map(({ splice }) => splice))]
  const calls = Math.max(...groups.map(({ contextsPerCall }) => contextsPerCall))
  const whole = (count: number, of: number) => Math.ceil(count / of) * of
  const batch = whole(2 * pool.count * calls, options.contextsPerCall)
  const padded = Math.max(...groups.map(({ contextsPerCall }) => whole(batch, contextsPerCall)))
  const rows = padded * contextSize
  const captures = await createCaptures({ pool, rows, prefix })
  const rooms = await openRooms({ ...options, rows, groups })
  const mask = new Uint8Array(rows)
  try {
    for (let first = 0; first < contexts && !stopped?.(); first += batch) {
      const count = Math.min(batch, contexts - first)
      source.read({ first, count, ids: captures.ids, mask })
      await pool.run(prefix.tasks({ contexts: count, places: captures.places }))
      for (const member of members) await reconstruct(rooms, member, captures.places, count * contextSize)
      rooms.setSpliced(mask, count * contextSize)
      for (const splice of groups) {
        const own = members.filter(member => member.splice === splice)
        await pool.run(variants({ rooms, splice, members: own, captured: captures.places, count }))
        for (let c = 0; c < count; c++) {
          for (const member of own) {
            const losses = rooms.losses(member, mask, c, contextSize)
            addLosses(member.sums, losses)
            onContext?.(members.indexOf(member), { context: first + c, ...losses })
          }
        }
      }
      onBatch?.(first + count)
    }
  } finally {
    await rooms.close()
    await captures.close()
  }
}

type Rooms = Awaited<ReturnType<typeof openRooms>>

/** All memory that the variants read and write, for `rows` rows. */
async function openRooms(options: SplicedOptions & { rows: number; groups: readonly SpliceForward[] }) {
  const { pool, members, prefix, rows, groups, means, source } = options
  const hooks = [...new Set(groups.flatMap(splice => splice.hooks))]
  const fixed = await createMatrices({
    pool,
    rows,
    widths: {
      none: 1,
      spliced: 1,
      zero: Math.max(...hooks.map(hook => widthOf(prefix, hook))),
      ...Object.fromEntries(hooks.map(hook => [`mean:${hook}`, widthOf(prefix, hook)])),
      ...Object.fromEntries(
        kinds.flatMap(kind => [
          [`loss:${kind}`, 1],
          [`kl:${kind}`, 1],
        ]),
      ),
    },
  })
  for (const hook of hooks) {
    const view = fixed.view(`mean:${hook}`)
    for (let at = 0; at < view.length; at += means[hook].length) view.set(means[hook], at)
  }
  const own = new Map<
    SplicedMember,
    { matrices: Awaited<ReturnType<typeof createMatrices>>; hits: HitRoom }
  >()
  for (const member of members) {
    const { outputs } = member.encoder.sae.hooks
    const widths = Object.fromEntries(outputs.map(({ hook, width }) => [hook, width]))
    own.set(member, {
      matrices: await createMatrices({ pool, rows, widths: { ...widths, loss: 1, kl: 1 } }),
      hits: await member.encoder.room({ rows }),
    })
  }
  const scratch = Math.max(
    ...groups.map(({ contextsPerCall, vocabSize }) => contextsPerCall * source.contextSize * vocabSize * 4),
  )
  const worker = await pool.memory({ bytes: 2 * pool.count * scratch + 256 })
  const area = (): WorkerPlace => ({
    memory: worker.id,
    offset: { base: worker.alloc(pool.count * scratch), stride: scratch },
  })
  return {
    fixed: fixed.places,
    of: (member: SplicedMember) => own.get(member)!,
    /** Log-probabilities of the clean run, and of the others, which nobody reads. */
    clean: area(),
    other: area(),
    setSpliced(mask: Uint8Array, count: number) {
      fixed.view('spliced').fill(0).set(mask.subarray(0, count))
    },
    losses(member: SplicedMember, mask: Uint8Array, c: number, contextSize: number) {
      const from = c * contextSize
      const usable = mask.slice(from, from + contextSize)
      const scored = usable.slice()
      scored[contextSize - 1] = 0
      const cut = (view: Float32Array) => view.slice(from, from + contextSize)
      const { matrices } = own.get(member)!
      return {
        scored,
        usable,
        clean: cut(fixed.view('loss:clean')),
        zero: cut(fixed.view('loss:zero')),
        mean: cut(fixed.view('loss:mean')),
        spliced: cut(matrices.view('loss')),
        klZero: cut(fixed.view('kl:zero')),
        klMean: cut(fixed.view('kl:mean')),
        klSpliced: cut(matrices.view('kl')),
      }
    },
    async close() {
      await pool.release(worker)
      await fixed.close()
      for (const { matrices, hits } of own.values()) {
        await matrices.close()
        await hits.close()
      }
    },
  }
}

async function reconstruct(
  rooms: Rooms,
  member: SplicedMember,
  captured: Record<string, { memory: number; offset: number }>,
  rows: number,
): Promise<void> {
  const { encoder } = member
  const { matrices, hits } = rooms.of(member)
  const { inputs, outputs } = encoder.sae.hooks
  await encoder.encode({
    rows,
    inputs: inputs.map(({ hook }) => captured[hook]),
    hits,
    reconstruction: outputs.map(({ hook }) => matrices.places[hook]),
  })
}

/** One task per call: the clean run, the ablations, then every member's reconstruction. */
function variants(options: {
  rooms: Rooms
  splice: SpliceForward
  members: readonly SplicedMember[]
  captured: Record<string, WorkerPlace>
  count: number
}): Task[] {
  const { rooms, splice, members, captured, count } = options
  const { fixed } = rooms
  const run = (spliced: WorkerPlace, at: (hook: string) => WorkerPlace, loss: WorkerPlace, kl: WorkerPlace) =>
    splice.tasks({
      contexts: count,
      places: {
        ...captured,
        ...Object.fromEntries(splice.hooks.map(hook => [`splice:${hook}`, at(hook)])),
        spliced,
        clean_log_probs: spliced === fixed.none ? rooms.other : rooms.clean,
        log_probs: spliced === fixed.none ? rooms.clean : rooms.other,
        token_loss: loss,
        token_kl: kl,
      },
    })
  const runs = [
    run(fixed.none, () => fixed.zero, fixed['loss:clean'], fixed['kl:clean']),
    run(fixed.spliced, () => fixed.zero, fixed['loss:zero'], fixed['kl:zero']),
    run(fixed.spliced, hook => fixed[`mean:${hook}`], fixed['loss:mean'], fixed['kl:mean']),
    ...members.map(member => {
      const { places } = rooms.of(member).matrices
      return run(fixed.spliced, hook => places[hook], places.loss, places.kl)
    }),
  ]
  return runs[0].map((_, call) => runs.flatMap(tasks => tasks[call]))
}

function addLosses(sums: ModelSums, losses: Omit<ContextLosses, 'context'>): void {
  const { scored, usable } = losses
  for (let t = 0; t < scored.length; t++) {
    if (usable[t] === 1) {
      sums.klTokens++
      sums.klSpliced += losses.klSpliced[t]
      sums.klZero += losses.klZero[t]
      sums.klMean += losses.klMean[t]
    } else sums.maskedTokens++
    if (scored[t] === 0) continue
    sums.tokens++
    sums.clean += losses.clean[t]
    sums.spliced += losses.spliced[t]
    sums.zero += losses.zero[t]
    sums.mean += losses.mean[t]
  }
}

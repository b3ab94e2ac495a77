// What a checkpoint holds of an SAE while it trains: JSON and tensors, both the loop's and the learner's.
import { InputError, isObject } from '@mistudio/files'
import type { EarlyStop } from '../finish/early_stop.ts'
import type { LearnerState } from '../learner.ts'
import { readNormaliser, type StoredNormaliser, storeNormaliser } from '../start/normalise.ts'
import type { StoredMember } from './checkpoint.ts'
import { hooksOf, type Recent, type RunningMember } from './train_member.ts'
import type { WarningHistory } from './warnings.ts'

const own = 'loop'

/** JSON and tensors of a checkpoint. */
export function storeMember(running: RunningMember): { stored: StoredMember; tensors: LearnerState } {
  const { learner, normalisers, moments, step, earlyStop, resampled, history, startThreshold, recent } =
    running
  const tensors: LearnerState = new Map(learner.state())
  const kinds = Object.fromEntries(
    Array.from(normalisers, ([hook, normaliser]) => [
      hook,
      storeNormaliser(normaliser, `${own}.normaliser.${hook}`, tensors),
    ]),
  )
  tensors.set(`${own}.sum`, moments.sum)
  tensors.set(`${own}.sum_squares`, moments.sumSquares)
  if (startThreshold !== undefined) tensors.set(`${own}.start_threshold`, startThreshold)
  const { rows } = moments
  return {
    stored: { status: 'training', step, rows, normalisers: kinds, earlyStop, resampled, history, recent },
    tensors,
  }
}

/** Restores a member from a checkpoint. @throws InputError if it does not fit */
export function restoreMember(running: RunningMember, stored: StoredMember, tensors: LearnerState): void {
  const known = stored as unknown as {
    step: number
    rows: number
    normalisers: Record<string, StoredNormaliser>
    earlyStop: EarlyStop
    resampled: number
    history: WarningHistory
    recent: Recent
  }
  const take = (name: string) => {
    const data = tensors.get(`${own}.${name}`)
    tensors.delete(`${own}.${name}`)
    return data
  }
  running.step = known.step
  running.resampled = known.resampled
  running.earlyStop = { ...known.earlyStop }
  running.history = structuredClone(known.history)
  running.recent = { ...known.recent }
  for (const hook of hooksOf(running.member.hooks)) {
    const kind = known.normalisers[hook]
    if (kind === undefined) throw unfit(`normalisers.${hook}`)
    running.normalisers.set(hook, readNormaliser(kind, `${own}.normaliser.${hook}`, tensors))
  }
  const sum = take('sum')
  const sumSquares = take('sum_squares')
  const { dOut } = running.member.plan.shape
  if (sum?.length !== dOut || sumSquares?.length !== dOut) throw unfit(`${own}.sum`)
  running.moments = {
    rows: known.rows,
    sum: Float64Array.from(sum),
    sumSquares: Float64Array.from(sumSquares),
  }
  const startThreshold = take('start_threshold')
  running.startThreshold = startThreshold === undefined ? undefined : Float32Array.from(startThreshold)
  running.learner.restore(tensors)
}

const unfit = (field: string) =>
  new InputError({
    message: 'the checkpoint does not fit the SAE',
    field,
    expected: 'what a training of this SAE wrote',
  })

/** Whether the JSON holds what `restoreMember` reads. Checked on opening, since files are untrusted until then. */
export function isStoredTraining(stored: StoredMember): boolean {
  const { step, rows, normalisers, earlyStop, resampled, history, recent } = stored
  if (![step, rows, resampled].every(value => Number.isSafeInteger(value) && Number(value) >= 0)) return false
  if (!isObject(normalisers) || !isObject(earlyStop) || !isObject(history) || !isObject(recent)) return false
  if (![recent.rows, recent.squaredError, recent.firing].every(value => typeof value === 'number'))
    return false
  const kinds: unknown[] = ['none', 'scale', 'token_rms', 'layer_norm', 'whiten']
  const isNormaliser = (value: unknown) =>
    isObject(value) &&
    kinds.includes(value.kind) &&
    (value.kind !== 'scale' || typeof value.scale === 'number')
  if (!Object.values(normalisers).every(isNormaliser)) return false
  const { tokens, squaredError, best } = earlyStop
  if (typeof tokens !== 'number' || typeof squaredError !== 'number') return false
  if (best !== null && typeof best !== 'number') return false
  return [history.said, history.l0, history.losses].every(Array.isArray)
}

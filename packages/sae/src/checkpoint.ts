// Checkpoints: weights, moments and position of all SAEs of a run in one directory that is renamed once, so a
// crash or a full disk at any moment leaves the previous checkpoint whole.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  InputError,
  openSafetensors,
  recoverDirectory,
  type SafetensorsFile,
  writeDirectoryAtomic,
  writeSafetensors,
} from '@mistudio/tensor'
import type { StoredMoments } from './window.ts'

export type CheckpointState = {
  /** The run's settings as plain JSON; a resume with others is refused, field by field. */
  settings: Record<string, unknown>
  /** Steps done, and where the next one reads: with the seed this is the whole position. */
  step: number
  window: number
  batch: number
  /** The normalisation scalar of each SAE. */
  scales: Record<string, number>
  /** Running moments of each hook point's activations, for FVU. */
  moments: Record<string, StoredMoments>
}

type Tensors = Map<string, Float32Array | Float64Array>

const fileOf = (name: string) => `${name.replaceAll(/[^A-Za-z0-9_.-]/g, '_')}.safetensors`

export async function writeCheckpoint(options: {
  dir: string
  state: CheckpointState
  saes: Map<string, Tensors>
}): Promise<void> {
  const { dir, state, saes } = options
  await writeDirectoryAtomic({
    path: dir,
    async write(folder) {
      for (const [name, tensors] of saes) {
        await writeSafetensors({
          path: join(folder, fileOf(name)),
          tensors: Array.from(tensors, ([tensor, data]) => ({
            name: tensor,
            dtype: data instanceof Float64Array ? ('F64' as const) : ('F32' as const),
            shape: [data.length],
            data,
          })),
        })
      }
      writeFileSync(join(folder, 'state.json'), `${JSON.stringify(state, null, 2)}\n`)
    },
  })
}

/** @returns undefined where there is no checkpoint. @throws InputError when one is damaged. */
export function readCheckpoint(options: {
  dir: string
  names: string[]
}): { state: CheckpointState; saes: Map<string, Tensors> } | undefined {
  const { dir, names } = options
  recoverDirectory(dir)
  if (!existsSync(dir)) return undefined
  const file = join(dir, 'state.json')
  let state: unknown
  try {
    state = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw unreadable(file, String(error))
  }
  if (!isState(state)) throw unreadable(file, 'other fields')
  const saes = new Map<string, Tensors>()
  for (const name of names) {
    const opened = openSafetensors(join(dir, fileOf(name)))
    try {
      saes.set(name, new Map(Array.from(opened.tensors.keys(), tensor => [tensor, floats(opened, tensor)])))
    } finally {
      opened.close()
    }
  }
  return { state, saes }
}

const unreadable = (file: string, found: string) =>
  new InputError({
    message: 'the checkpoint cannot be read',
    file,
    found,
    expected: 'the state of a training',
  })

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isNumber = (value: unknown) => typeof value === 'number'
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0

function isState(value: unknown): value is CheckpointState {
  if (!isRecord(value)) return false
  const { settings, step, window, batch, scales, moments } = value
  if (![step, window, batch].every(isCount)) return false
  if (!isRecord(settings) || !isRecord(scales) || !isRecord(moments)) return false
  const isMoments = (one: unknown) =>
    isRecord(one) &&
    [one.tokens, one.sumSquares, one.sumNorms].every(isNumber) &&
    Array.isArray(one.sum) &&
    one.sum.every(isNumber)
  return Object.values(scales).every(isNumber) && Object.values(moments).every(isMoments)
}

function floats(file: SafetensorsFile, name: string): Float32Array | Float64Array {
  const { data } = file.read(name)
  if (data instanceof Float32Array || data instanceof Float64Array) return data
  throw new InputError({
    message: 'not a float tensor',
    file: file.path,
    field: name,
    expected: 'F32 or F64',
  })
}

/** Refuses to continue a run under other settings. @throws InputError naming the first that differs */
export function checkSettings(options: {
  file: string
  saved: Record<string, unknown>
  asked: Record<string, unknown>
}): void {
  const { file, saved, asked } = options
  for (const field of new Set([...Object.keys(saved), ...Object.keys(asked)])) {
    const before = JSON.stringify(saved[field])
    const now = JSON.stringify(asked[field])
    if (before === now) continue
    throw new InputError({
      message: 'the folder holds a run with other settings',
      file,
      field,
      found: now ?? 'absent',
      expected: before ?? 'absent',
    })
  }
}

// Checkpoints: weights, moments and position of all SAEs of a run, `checkpoints/STEP/`, each a directory that appears
// by one rename, so a crash or a full disk at any moment leaves every earlier checkpoint whole. retention.ts decides
// which are kept.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  InputError,
  isObject,
  openSafetensors,
  recoverDirectory,
  type SafetensorsFile,
  writeDirectoryAtomic,
  writeSafetensors,
} from '@mistudio/files'
import type { LearnerState } from '../learner.ts'

/** One SAE's part of a checkpoint besides its tensors; plain JSON, checked by its writer (train_member_state.ts). */
export type StoredMember = { status: 'training' | 'completed' | 'stopped' | 'failed' } & Record<
  string,
  unknown
>

export type CheckpointState = {
  /** What decides the weights, as plain JSON; a resume with other settings is refused with the list of differences. */
  settings: Record<string, unknown>
  /** Steps done, and where the next one reads: with the seed this is the whole position. */
  step: number
  window: number
  batch: number
  members: Record<string, StoredMember>
  /** Mean FVU of the SAEs over the newest steps (train_member.ts); what `keep_best` compares. */
  fvu: number | null
  /** Tokens the outlier rule dropped so far, by hook point. */
  outliers: Record<string, number>
  /** Where model and datasets were, for `sae finalise`; ignored by a resume. */
  origin?: unknown
}

export const checkpointsDir = (out: string) => join(out, 'checkpoints')
export const checkpointDir = (out: string, step: number) => join(checkpointsDir(out), String(step))

const fileOf = (name: string) => `${name.replaceAll(/[^A-Za-z0-9_.=,+-]/g, '_')}.safetensors`

/** Names that would share a file. @throws InputError naming both */
export function checkFileNames(names: readonly string[]): void {
  const owners = new Map<string, string>()
  for (const name of names) {
    const other = owners.get(fileOf(name).toLowerCase())
    owners.set(fileOf(name).toLowerCase(), name)
    if (other === undefined) continue
    throw new InputError({
      message:
        other === name ? 'two SAEs of a run have the same name' : 'the names of two SAEs are too similar',
      field: 'name',
      found: other === name ? name : `${other} and ${name}`,
      expected: 'names that differ in letters, digits or one of _ . = , + -',
    })
  }
}

export async function writeCheckpoint(options: {
  out: string
  state: CheckpointState
  saes: ReadonlyMap<string, LearnerState>
}): Promise<void> {
  const { out, state, saes } = options
  await writeDirectoryAtomic({
    path: checkpointDir(out, state.step),
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

/** Steps of the existing checkpoints, ascending. */
export function listCheckpoints(out: string): number[] {
  const dir = checkpointsDir(out)
  if (!existsSync(dir)) return []
  return readdirSync(dir)
    .filter(name => /^\d{1,15}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
}

/** Repairs what a crash left: restores a directory that was being replaced, removes unfinished and dropped ones. */
export function recoverCheckpoints(out: string): void {
  const dir = checkpointsDir(out)
  if (!existsSync(dir)) return
  for (const name of readdirSync(dir)) {
    const [, step, kind] = /^\.(\d+)\.(old|next|gone)$/.exec(name) ?? []
    if (kind === 'old') recoverDirectory(join(dir, step))
    else if (kind !== undefined) rmSync(join(dir, name), { recursive: true, force: true })
  }
}

/** Removes a checkpoint so that a crash midway does not leave half of it. */
export function dropCheckpoint(out: string, step: number): void {
  const gone = join(checkpointsDir(out), `.${step}.gone`)
  rmSync(gone, { recursive: true, force: true })
  renameSync(checkpointDir(out, step), gone)
  rmSync(gone, { recursive: true, force: true })
}

/** @throws InputError if it is damaged */
export function readState(out: string, step: number): CheckpointState {
  const file = join(checkpointDir(out, step), 'state.json')
  let state: unknown
  try {
    state = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw unreadable(file, String(error))
  }
  if (!isState(state)) throw unreadable(file, 'other fields')
  return state
}

export type Checkpoint = { file: string; state: CheckpointState; tensorsOf(name: string): LearnerState }

/**
 * Opens a checkpoint; `tensorsOf` reads the tensors of one SAE.
 * @param options.step default: the newest
 * @returns undefined if there is none. @throws InputError if one is damaged or the requested step is missing
 */
export function readCheckpoint(options: { out: string; step?: number }): Checkpoint | undefined {
  const { out } = options
  recoverCheckpoints(out)
  const steps = listCheckpoints(out)
  const step = options.step ?? steps.at(-1)
  if (step === undefined) return undefined
  if (!steps.includes(step)) {
    throw new InputError({
      message: 'there is no such checkpoint',
      file: checkpointsDir(out),
      field: 'checkpoint',
      found: String(step),
      expected: steps.length === 0 ? 'a run with checkpoints' : `one of ${steps.join(', ')}`,
    })
  }
  const dir = checkpointDir(out, step)
  return {
    file: join(dir, 'state.json'),
    state: readState(out, step),
    tensorsOf(name) {
      const opened = openSafetensors(join(dir, fileOf(name)))
      try {
        return new Map(Array.from(opened.tensors.keys(), tensor => [tensor, floats(opened, tensor)]))
      } finally {
        opened.close()
      }
    },
  }
}

const unreadable = (file: string, found: string) =>
  new InputError({
    message: 'the checkpoint cannot be read',
    file,
    found,
    expected: 'the state of a training',
  })

const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0
const statuses: readonly unknown[] = ['training', 'completed', 'stopped', 'failed']

function isState(value: unknown): value is CheckpointState {
  if (!isObject(value)) return false
  const { settings, step, window, batch, members, fvu, outliers } = value
  if (![step, window, batch].every(isCount)) return false
  if (fvu !== null && typeof fvu !== 'number') return false
  if (!isObject(settings) || !isObject(members) || !isObject(outliers)) return false
  if (!Object.values(outliers).every(isCount)) return false
  return Object.values(members).every(member => isObject(member) && statuses.includes(member.status))
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

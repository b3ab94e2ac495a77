// Checkpoints: written and read back to the bit, refused if damaged, repaired after a crash, kept by rule. A full
// disk: apps/cli, disk_full.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkSettings, InputError } from '@mistudio/files'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type CheckpointState,
  checkFileNames,
  checkpointDir,
  dropCheckpoint,
  listCheckpoints,
  readCheckpoint,
  recoverCheckpoints,
  writeCheckpoint,
} from './checkpoint.ts'
import { type KeptCheckpoint, keptSteps, retain } from './retention.ts'

let out: string
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'mistudio-checkpoint-'))
})
afterEach(() => rmSync(out, { recursive: true }))

const state: CheckpointState = {
  settings: { seed: 1 },
  step: 12,
  window: 2,
  batch: 3,
  members: { 'a b': { status: 'training', step: 12 } },
  fvu: 0.25,
  outliers: { hook: 3 },
}
const tensors = new Map<string, Float32Array | Float64Array>([
  ['W_enc', Float32Array.of(1, Math.fround(0.1), -0, Number.NaN)],
  ['counters', Float64Array.of(Math.PI)],
])
const write = (changes: Partial<CheckpointState> = {}) =>
  writeCheckpoint({ out, state: { ...state, ...changes }, saes: new Map([['a b', tensors]]) })
function read() {
  const found = readCheckpoint({ out })
  return found && { state: found.state, tensors: found.tensorsOf('a b') }
}

function refusal(): InputError {
  try {
    read()
  } catch (error) {
    if (error instanceof InputError) return error
    throw error
  }
  throw new Error('it was read')
}

describe('a checkpoint', () => {
  test('comes back to the bit; without one there is nothing to read', async () => {
    expect(read()).toBeUndefined()
    await write()
    expect(read()).toEqual({ state, tensors })
  })

  test('is the newest unless a step is asked for; one that is not there is refused with those that are', async () => {
    for (const step of [5, 12, 110]) await write({ step })
    expect(listCheckpoints(out)).toEqual([5, 12, 110])
    expect(read()!.state.step).toBe(110)
    expect(readCheckpoint({ out, step: 5 })!.state.step).toBe(5)
    expect(() => readCheckpoint({ out, step: 6 })).toThrow(/found: 6; expected: one of 5, 12, 110/)
  })

  test('that was being written or removed at a crash is cleared away, the one before is whole', async () => {
    await write({ step: 5 })
    await write({ step: 12 })
    const dir = (name: string) => join(out, 'checkpoints', name)
    // In the middle of writing step 19, of removing step 2, and of replacing step 12.
    for (const name of ['.19.next', '.2.gone']) mkdirSync(dir(name))
    renameSync(dir('12'), dir('.12.old'))
    recoverCheckpoints(out)
    expect(readdirSync(join(out, 'checkpoints')).sort()).toEqual(['12', '5'])
    expect(read()!.state.step).toBe(12)
  })

  test.each<[string, unknown]>([
    ['nothing known', {}],
    ['null', null],
    ['a list', []],
    ['a step that is no count', { ...state, step: -1 }],
    ['a batch of text', { ...state, batch: '3' }],
    ['no settings', { ...state, settings: undefined }],
    ['a member without status', { ...state, members: { a: {} } }],
    ['outliers of text', { ...state, outliers: { a: 'many' } }],
  ])('with a state.json of %s is refused by its name', async (_, value) => {
    await write()
    const file = join(checkpointDir(out, 12), 'state.json')
    writeFileSync(file, JSON.stringify(value))
    expect(refusal().details.file).toBe(file)
  })

  test('with a missing or cut file of an SAE is refused by its name', async () => {
    await write()
    const file = join(checkpointDir(out, 12), 'a_b.safetensors')
    truncateSync(file, readFileSync(file).length - 1)
    expect(refusal().details.file).toBe(file)
    rmSync(file)
    expect(refusal().details.file).toBe(file)
  })

  test('with random damage to state.json is refused or read, never worse', async () => {
    await write()
    const file = join(checkpointDir(out, 12), 'state.json')
    const whole = readFileSync(file)
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1 }), changes => {
        const bytes = Buffer.from(whole)
        for (const [at, byte] of changes) bytes[at] = byte
        writeFileSync(file, bytes)
        try {
          read()
        } catch (error) {
          expect(error).toBeInstanceOf(InputError)
        }
      }),
    )
  })
})

test('names whose files would be one are refused, also where only capitals differ', () => {
  expect(() => checkFileNames(['a k=1', 'a k=2', 'b'])).not.toThrow()
  expect(() => checkFileNames(['a b', 'a_b'])).toThrow(/too similar; field: name; found: a b and a_b/)
  expect(() => checkFileNames(['A', 'a'])).toThrow(/field: name/)
})

test('other settings are refused with all differences', () => {
  const saved = { seed: 1, members: { a: { k: 4, hooks: ['x'] } }, gone: true }
  const asked = { seed: 2, members: { a: { k: 5, hooks: ['x'] } }, fresh: null }
  expect(() => checkSettings({ file: 'f', saved, asked: saved })).not.toThrow()
  expect(() => checkSettings({ file: 'f', saved, asked })).toThrow(
    'file: f; field: seed, members.a.k, gone, fresh; found: seed 2; members.a.k 5; gone absent; fresh null; ' +
      'expected: seed 1; members.a.k 4; gone true; fresh absent',
  )
})

describe('retention', () => {
  const checkpoints: KeptCheckpoint[] = [
    { step: 10, bytes: 100, fvu: 0.5 },
    { step: 20, bytes: 100, fvu: 0.2 },
    { step: 30, bytes: 100, fvu: 0.3 },
    { step: 40, bytes: 100, fvu: null },
  ]
  const kept = (retention: Partial<Parameters<typeof keptSteps>[0]['retention']>, pinned?: number[]) =>
    keptSteps({
      checkpoints,
      retention: { keepLast: 1, keepBest: false, diskBudgetBytes: null, ...retention },
      pinned,
    })

  test('keeps the newest few, the best, and those a failed SAE needs', () => {
    expect(kept({})).toEqual([40])
    expect(kept({ keepLast: 3 })).toEqual([20, 30, 40])
    expect(kept({ keepBest: true })).toEqual([20, 40])
    expect(kept({}, [10])).toEqual([10, 40])
    expect(kept({ keepLast: 0 }, [30])).toEqual([30])
  })

  test('of checkpoints that are equally good the newer is the best', () => {
    const equal = checkpoints.map(one => ({ ...one, fvu: one.step === 40 ? 0.9 : 0.2 }))
    const retention = { keepLast: 1, keepBest: true, diskBudgetBytes: null }
    expect(keptSteps({ checkpoints: equal, retention })).toEqual([30, 40])
    // One that was not measured, or measured wrongly, is never the best.
    const unmeasured = checkpoints.map(one => ({
      ...one,
      fvu: one.step === 20 ? Number.NEGATIVE_INFINITY : null,
    }))
    expect(keptSteps({ checkpoints: unmeasured, retention })).toEqual([40])
  })

  test('drops the oldest first where the disk budget is short, the best last, the newest never', () => {
    expect(kept({ keepLast: 4, diskBudgetBytes: 399 })).toEqual([20, 30, 40])
    expect(kept({ keepLast: 4, keepBest: true, diskBudgetBytes: 250 })).toEqual([20, 40])
    expect(kept({ keepLast: 4, keepBest: true, diskBudgetBytes: 150 })).toEqual([40])
    expect(kept({ keepLast: 4, diskBudgetBytes: 1 })).toEqual([40])
    expect(kept({ keepLast: 4, diskBudgetBytes: 400 })).toEqual([10, 20, 30, 40])
    // What a failed SAE needs goes after the others, and before the best.
    expect(kept({ keepLast: 4, diskBudgetBytes: 300 }, [10])).toEqual([10, 30, 40])
    expect(kept({ keepLast: 4, keepBest: true, diskBudgetBytes: 300 }, [10])).toEqual([10, 20, 40])
    expect(kept({ keepLast: 4, keepBest: true, diskBudgetBytes: 200 }, [10])).toEqual([20, 40])
  })

  test('removes what is not kept, and a damaged checkpoint does not hinder it', async () => {
    for (const step of [1, 2, 3]) await write({ step, fvu: step === 2 ? 0.1 : 0.5 })
    writeFileSync(join(checkpointDir(out, 1), 'state.json'), '{')
    expect(retain({ out, retention: { keepLast: 1, keepBest: true, diskBudgetBytes: null } })).toEqual([2, 3])
    expect(existsSync(checkpointDir(out, 1))).toBe(false)
    dropCheckpoint(out, 2)
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['3'])
  })
})

// Checkpoints: written and read back to the bit, refused when they are damaged. A full disk: apps/cli, disk_full.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InputError } from '@mistudio/tensor'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type CheckpointState, readCheckpoint, writeCheckpoint } from './checkpoint.ts'

let dir: string
beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'mistudio-checkpoint-')), 'checkpoint')
})
afterEach(() => rmSync(join(dir, '..'), { recursive: true }))

const state: CheckpointState = {
  settings: { seed: 1 },
  step: 12,
  window: 2,
  batch: 3,
  scales: { 'a b': 0.5 },
  moments: { hook: { tokens: 4, sum: [1, 2], sumSquares: 9, sumNorms: 3 } },
}
const tensors = new Map<string, Float32Array | Float64Array>([
  ['W_enc', Float32Array.of(1, Math.fround(0.1), -0, Number.NaN)],
  ['counters', Float64Array.of(Math.PI)],
])
const write = () => writeCheckpoint({ dir, state, saes: new Map([['a b', tensors]]) })
const read = () => readCheckpoint({ dir, names: ['a b'] })

function refusal(): InputError {
  try {
    read()
  } catch (error) {
    if (error instanceof InputError) return error
    throw error
  }
  throw new Error('it was read')
}

test('comes back to the bit; without one there is nothing to read', async () => {
  expect(read()).toBeUndefined()
  await write()
  expect(read()).toEqual({ state, saes: new Map([['a b', tensors]]) })
})

test.each<[string, unknown]>([
  ['nothing known', {}],
  ['null', null],
  ['a list', []],
  ['a step that is no count', { ...state, step: -1 }],
  ['a batch of text', { ...state, batch: '3' }],
  ['no settings', { ...state, settings: undefined }],
  ['a scale of text', { ...state, scales: { a: '1' } }],
  ['moments without sums', { ...state, moments: { hook: { tokens: 4 } } }],
])('a state.json of %s is refused by its name', async (_, value) => {
  await write()
  const file = join(dir, 'state.json')
  writeFileSync(file, JSON.stringify(value))
  expect(refusal().details.file).toBe(file)
})

test('a missing or cut file of an SAE is refused by its name', async () => {
  await write()
  const file = join(dir, 'a_b.safetensors')
  truncateSync(file, readFileSync(file).length - 1)
  expect(refusal().details.file).toBe(file)
  rmSync(file)
  expect(refusal().details.file).toBe(file)
})

test('random damage to state.json is refused or read, never worse', async () => {
  await write()
  const file = join(dir, 'state.json')
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

// What the tests of this room share: fixtures, their goldens under hook names, and running a compiled forward.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openSafetensors, writeSafetensors } from '@mistudio/files'
import type { Lanes, Place } from '@mistudio/tensor'
import type { Architecture } from '../src/architecture.ts'
import { readDecoder } from '../src/config.ts'
import type { Forward } from '../src/forward.ts'
import { type LanguageModel, openModel } from '../src/load.ts'
import { randomNumbers } from '../src/sampling.ts'

export const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

export const demoModel: string = fileURLToPath(new URL('../../../assets/demo/model', import.meta.url))

/** A folder that `remove` takes away. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'mistudio-model-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export const openFixture = (name: string, cacheDir: string): Promise<LanguageModel> =>
  openModel({ dir: fixture(name), cacheDir })

/**
 * A model of the test's own architecture: every weight that its forward pass asks for, evenly drawn within ±`spread`.
 * @param options.folder gets the model's files and its cache
 */
export async function randomModel(options: {
  architecture: Architecture
  folder: string
  spread?: number
}): Promise<LanguageModel> {
  const { architecture, folder, spread = 0.6 } = options
  const dir = mkdtempSync(join(folder, 'random-'))
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ model_type: architecture.modelTypes[0] }))
  const { shapes } = readDecoder({ dir, architectures: [architecture] })
  const random = randomNumbers(1)
  const tensors = shapes.parameters.map(({ name, shape }) => {
    const length = shape.reduce((product, size) => product * size, 1)
    const data = Float32Array.from({ length }, () => spread * (2 * random() - 1))
    return { name, dtype: 'F32' as const, shape, data }
  })
  await writeSafetensors({ path: join(dir, 'model.safetensors'), tensors })
  return openModel({ dir, cacheDir: join(folder, 'cache'), architectures: [architecture] })
}

export type Golden = { inputIds: number[][]; greedy: number[]; tensors: Map<string, Float32Array> }

/** Golden tensors, those named after modules under the name of their hook point. */
export function readGolden(path: string): Golden {
  const file = openSafetensors(path)
  try {
    const ids = (name: string) => Array.from(file.read(name).data, Number)
    const length = file.read('input_ids').shape[1]
    const flat = ids('input_ids')
    const inputIds = Array.from({ length: flat.length / length }, (_, row) =>
      flat.slice(row * length, (row + 1) * length),
    )
    const tensors = new Map<string, Float32Array>()
    for (const name of file.tensors.keys()) {
      if (name !== 'input_ids' && name !== 'greedy') tensors.set(hookName(name), file.readF32(name))
    }
    return { inputIds, greedy: ids('greedy'), tensors }
  } finally {
    file.close()
  }
}

const hookName = (name: string): string =>
  name
    .replace(/^block\.(\d+)\.input$/, 'blocks.$1.hook_resid_pre')
    .replace(/^block\.(\d+)\.output$/, 'blocks.$1.hook_resid_post')
    .replace(/^block\.(\d+)\.attn_module_output$/, 'blocks.$1.hook_attn_out')
    .replace(/^block\.(\d+)\.mlp_module_output$/, 'blocks.$1.hook_mlp_out')

/** The largest absolute difference; NaN where anything is NaN or the lengths differ. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN
  let largest = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i])
    if (Number.isNaN(difference)) return Number.NaN
    largest = Math.max(largest, difference)
  }
  return largest
}

/** Runs `inputIds` (whole calls) and copies the outputs out of the shared memory. */
export async function runForward(options: {
  lanes: Lanes
  forward: Forward
  inputIds: readonly (readonly number[])[]
  inputs?: Record<string, ArrayLike<number>>
}): Promise<Record<string, Float32Array>> {
  const { lanes, forward, inputIds, inputs = {} } = options
  const tokens = inputIds.length * inputIds[0].length
  const ports = [...forward.inputs, ...forward.outputs]
  const bytes = ports.reduce((sum, { width }) => sum + tokens * width * 4 + 64, 0)
  const memory = await lanes.memory({ bytes })
  try {
    const places: Record<string, Place> = {}
    for (const { name, width, dtype } of ports) {
      const offset = memory.alloc(tokens * width * 4)
      places[name] = { memory: memory.id, offset }
      if (dtype === 'int32') memory.i32(offset, tokens).set(inputIds.flat())
      else if (Object.hasOwn(inputs, name)) memory.f32(offset, tokens * width).set(inputs[name])
    }
    await lanes.run(forward.tasks({ contexts: inputIds.length, places }))
    const results: Record<string, Float32Array> = {}
    for (const { name, width } of forward.outputs) {
      results[name] = Float32Array.from(memory.f32(places[name].offset, tokens * width))
    }
    return results
  } finally {
    await lanes.release(memory)
  }
}

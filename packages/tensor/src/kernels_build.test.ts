// The committed kernels match the sources, and the loader offers each of them.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { buildKernels, kernelsPath } from '../../../scripts/build-kernels.js'
import { kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'

test('kernels.wasm is what the AssemblyScript sources build, byte for byte', async () => {
  const built = Buffer.from(await buildKernels())
  expect(built.equals(readFileSync(kernelsPath))).toBe(true)
})

test('every kernel has an oracle of the same name, and the other way round', () => {
  const exported = Object.keys(kernels).filter(name => typeof kernels[name] === 'function')
  expect(exported.sort()).toEqual(Object.keys(oracle).sort())
})

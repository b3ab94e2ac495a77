// Builds the SIMD kernels (packages/tensor/assembly) into packages/tensor/kernels/kernels.wasm.
// The result is committed, so nobody who runs miStudio compiles anything; a test rebuilds and compares it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
export const kernelsPath = join(root, 'packages/tensor/kernels/kernels.wasm')

/** @returns {Promise<Uint8Array>} the compiled module */
export async function buildKernels() {
  const options = [
    'packages/tensor/assembly/index.ts',
    '--outFile',
    'kernels.wasm',
    '--baseDir',
    root,
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '1',
    '--maximumMemory',
    '65536',
    '--enable',
    'simd',
    '--enable',
    'threads',
    '--enable',
    'relaxed-simd',
    '--enable',
    'bulk-memory',
    '--use',
    'abort=',
  ]
  let binary
  const { error, stderr } = await asc.main(options, {
    writeFile: (_name, contents) => {
      binary = contents
    },
  })
  if (error) throw new Error(`the kernels do not compile: ${error.message}\n${stderr.toString()}`)
  return binary
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(dirname(kernelsPath), { recursive: true })
  writeFileSync(kernelsPath, await buildKernels())
}

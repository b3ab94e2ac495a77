// The SIMD kernels: WebAssembly built from ../assembly by scripts/build-kernels.js and committed. One module is
// compiled once and instantiated over each shared memory in each worker.
import { readFileSync } from 'node:fs'

/** The kernels by name; arguments are byte pointers, counts and factors (see the docstrings in ../assembly). */
export type Kernels = Record<string, (...args: number[]) => void>

/** Compiles the committed module; a WebAssembly.Module can be posted to worker threads. */
export function loadKernels(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL('../kernels/kernels.wasm', import.meta.url)))
}

/** Binds the kernels to one shared memory. */
export function instantiateKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels
}

/**
 * Bytes of scratch that `topkRows` needs: three arrays of candidates (capacityOf in assembly/topk.ts, + 16) and
 * 2,048 radix counters.
 */
export function topkScratchBytes(m: number, k: number): number {
  return 4 * (3 * (Math.min(Math.max(8 * k, 256), m) + 16) + 2048)
}

/** Bytes of the state that `gatherCandidates` keeps between blocks: three words per row, and cap + 16 latents and scores. */
export function candidateBytes(rows: number, cap: number): number {
  return 4 * rows * (3 + 2 * (cap + 16))
}

/** Bytes of scratch that `settleCandidates` needs: lists of candidates by row and by latent, all scores of a row and its top-k. */
export function settleScratchBytes(rows: number, m: number, k: number, cap: number): number {
  const lists = 2048 + cap + 16 + rows + 1 + 5 * rows * (cap + 16) + m + 1
  return 4 * (lists + Math.max(m, 4)) + topkScratchBytes(m, k)
}

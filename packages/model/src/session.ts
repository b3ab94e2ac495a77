// Loading a recorded graph into the workers. Its weights are external data, which ONNX Runtime accepts only from
// the folder of the .onnx file, so the file is written next to them; it is not needed once the sessions exist.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SessionOptions, WorkerPool } from '@mistudio/tensor'
import type { LanguageModel } from './load.ts'

let serial = 0

/** @returns the session's id in the worker pool */
export async function openGraph(options: {
  model: LanguageModel
  pool: WorkerPool
  bytes: Uint8Array
  settings?: Omit<SessionOptions, 'graph'>
}): Promise<number> {
  const { model, pool, bytes, settings = {} } = options
  const path = join(model.weights.folder, `graph-${process.pid}-${serial++}.onnx`)
  try {
    writeFileSync(path, bytes)
    return await pool.session({ graph: path, ...settings })
  } finally {
    rmSync(path, { force: true })
  }
}

// Loading a recorded graph into the lanes. Its weights are external data, which ONNX Runtime accepts only from
// the folder of the .onnx file, so the file is written beside them; it is not needed once the sessions are made.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lanes, SessionOptions } from '@mistudio/tensor'
import type { LanguageModel } from './load.ts'

let serial = 0

/** @returns the session's id in the lanes */
export async function openGraph(options: {
  model: LanguageModel
  lanes: Lanes
  bytes: Uint8Array
  settings?: Omit<SessionOptions, 'graph'>
}): Promise<number> {
  const { model, lanes, bytes, settings = {} } = options
  const path = join(model.weights.folder, `graph-${process.pid}-${serial++}.onnx`)
  try {
    writeFileSync(path, bytes)
    return await lanes.session({ graph: path, ...settings })
  } finally {
    rmSync(path, { force: true })
  }
}

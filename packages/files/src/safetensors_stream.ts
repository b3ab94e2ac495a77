// Writes a safetensors file too large for memory: its bytes come in pieces from async work. The file appears whole or
// not at all; a crash leaves `PATH.partial`, which the next attempt overwrites.
import { closeSync, openSync, renameSync, rmSync } from 'node:fs'
import { replaceFile } from './atomic.ts'
import { bytesPerElement } from './dtype.ts'
import { writeAll } from './positional.ts'
import { encodeHeader, type TensorSource } from './safetensors.ts'

export type StreamedTensor = Omit<TensorSource, 'data'> & {
  /** The tensor's bytes in order; a piece is written before the next one is requested. */
  pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/** @throws InputError if there is no room or no permission to write; Error if pieces and shape disagree */
export async function streamSafetensors(options: {
  path: string
  tensors: readonly StreamedTensor[]
  metadata?: Record<string, string>
}): Promise<void> {
  const { path, tensors, metadata } = options
  const header = encodeHeader({
    path,
    metadata,
    tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
  })
  const partial = `${path}.partial`
  let file: number | undefined
  try {
    // `replaceFile` turns system errors into readable messages, as for any file.
    let failure: unknown
    try {
      file = openSync(partial, 'w')
      writeAll(file, header)
      for (const { name, dtype, shape, pieces } of tensors) {
        let bytes = 0
        for await (const piece of pieces()) {
          writeAll(file, piece)
          bytes += piece.byteLength
        }
        const expected = shape.reduce((product, n) => product * n, bytesPerElement[dtype])
        if (bytes !== expected) throw new Error(`${name} came as ${bytes} bytes, expected ${expected}`)
      }
    } catch (error) {
      failure = error
    } finally {
      if (file !== undefined) closeSync(file)
    }
    replaceFile({
      path,
      write: temporary => {
        if (failure !== undefined) throw failure
        renameSync(partial, temporary)
      },
    })
  } finally {
    rmSync(partial, { force: true })
  }
}

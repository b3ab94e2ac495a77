// `mistudio sae encode`: an SAE on activations from a file, for comparison with other tools.
import { InputError, memoryLimitBytes, openSafetensors, type Place, writeSafetensors } from '@mistudio/tensor'
import { defineCommand, shared } from '../command.ts'
import { writableFile } from '../data_folder.ts'
import { saeFolder, withLanes } from '../engine.ts'
import { count, pairs } from '../output.ts'

/** Rows in shared memory at once. */
const rowsAtOnce = 4096

/** The dense result is held whole. */
const largestResultBytes = 8 * 1024 ** 3

export const saeEncode = defineCommand({
  name: 'sae encode',
  summary: 'encode and reconstruct activations from a file',
  details:
    'The input holds `activations` [n, d_in]; the output `feature_acts` [n, d_sae] and `reconstruction` [n, d_in], float32.',
  options: {
    sae: { kind: 'path', value: 'DIR', required: true, help: 'folder of the SAE (SAELens layout)' },
    activations: { kind: 'path', value: 'FILE.safetensors', required: true, help: 'activations' },
    out: { kind: 'path', value: 'FILE.safetensors', required: true, help: 'file to write' },
    threads: shared.threads,
  },
  spec: values => ({
    sae: saeFolder(values.sae),
    activations: values.activations,
    out: writableFile({ path: values.out, field: '--out' }),
    threads: values.threads,
  }),
  async job({ sae: dir, activations: file, out, threads }, context) {
    const { createTopKEncoder, loadSaeLens } = await import('@mistudio/sae')
    const sae = loadSaeLens({ dir })
    const { dIn, dSae } = sae.shape
    const { rows, data } = readActivations({ file, dIn, dSae })
    const acts = new Float32Array(rows * dSae)
    const reconstruction = new Float32Array(rows * dIn)
    let firing = 0
    await withLanes({ threads }, async lanes => {
      const encoder = await createTopKEncoder({ lanes, sae })
      const { k } = encoder
      const batch = Math.min(rowsAtOnce, rows)
      const bytes = batch * (2 * dIn + 2 * k) * 4 + 4096
      if (bytes > memoryLimitBytes) throw new Error(`${batch} rows of ${dIn} do not fit one shared memory`)
      const memory = await lanes.memory({ bytes })
      const place = (elements: number): Place => ({ memory: memory.id, offset: memory.alloc(elements * 4) })
      const places = {
        activations: place(batch * dIn),
        index: place(batch * k),
        value: place(batch * k),
        reconstruction: place(batch * dIn),
      }
      for (let first = 0; first < rows; first += batch) {
        const n = Math.min(batch, rows - first)
        memory.f32(places.activations.offset, n * dIn).set(data.subarray(first * dIn, (first + n) * dIn))
        await lanes.run(encoder.tasks({ rows: n, ...places }))
        reconstruction.set(memory.f32(places.reconstruction.offset, n * dIn), first * dIn)
        const index = memory.i32(places.index.offset, n * k)
        const value = memory.f32(places.value.offset, n * k)
        for (let i = 0; i < n * k; i++) {
          if (value[i] === 0) continue
          acts[(first + Math.floor(i / k)) * dSae + index[i]] = value[i]
          firing++
        }
        context.progress({ stage: 'encoding', done: first + n, total: rows, unit: 'rows' })
      }
      await encoder.close()
    })
    await writeSafetensors({
      path: out,
      tensors: [
        { name: 'feature_acts', dtype: 'F32', shape: [rows, dSae], data: acts },
        { name: 'reconstruction', dtype: 'F32', shape: [rows, dIn], data: reconstruction },
      ],
    })
    return { path: out, rows, d_in: dIn, d_sae: dSae, k: sae.k, l0: firing / rows }
  },
  present: ({ path, rows, d_in, d_sae, l0 }) =>
    pairs([
      ['written', path],
      ['feature_acts', `[${rows}, ${d_sae}], ${count(Math.round(l0 * 100) / 100)} latents firing a row`],
      ['reconstruction', `[${rows}, ${d_in}]`],
    ]),
})

/** @throws InputError when the tensor is missing, has another shape or would give a result too large to hold */
function readActivations({ file, dIn, dSae }: { file: string; dIn: number; dSae: number }): {
  rows: number
  data: Float32Array
} {
  const tensors = openSafetensors(file)
  try {
    const info = tensors.tensors.get('activations')
    const fail = (found: string, expected: string) =>
      new InputError({
        message: 'the activations cannot be used',
        file,
        field: 'activations',
        found,
        expected,
      })
    if (info === undefined) {
      throw fail(`tensors ${[...tensors.tensors.keys()].slice(0, 20).join(', ')}`, 'a tensor `activations`')
    }
    const [rows, width] = info.shape
    if (info.shape.length !== 2 || width !== dIn || rows === 0)
      throw fail(`[${info.shape}]`, `[n, ${dIn}], n > 0`)
    const most = Math.floor(largestResultBytes / 4 / (dSae + 2 * dIn))
    if (rows > most) throw fail(`${rows} rows`, `at most ${most} rows at a time`)
    return { rows, data: tensors.readF32('activations') }
  } finally {
    tensors.close()
  }
}

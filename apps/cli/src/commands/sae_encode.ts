// `mistudio sae encode`: an SAE on activations from a file, for comparison with other tools.
import { InputError, openSafetensors, writeSafetensors } from '@mistudio/files'
import { memoryLimitBytes, type Place, withWorkerPool } from '@mistudio/tensor'
import { defineCommand } from '../frame/command.ts'
import { writableFile } from '../frame/data_folder.ts'
import { count, pairs } from '../frame/output.ts'
import { shared } from './shared/options.ts'
import { saeFolder } from './shared/sae_folders.ts'

/** Rows in shared memory at once. */
const rowsAtOnce = 4096

/** The dense result is held whole. */
const largestResultBytes = 8 * 1024 ** 3

export const saeEncode = defineCommand({
  name: 'sae encode',
  summary: 'encode and reconstruct activations from a file',
  details:
    'The input holds `activations` [n, d_in]; the output `feature_acts` [n, d_sae] and `reconstruction` [n, d_out], float32.\n' +
    'Where an SAE reads or writes several hook points, their columns stand beside each other, in its order.',
  options: {
    sae: { kind: 'path', value: 'DIR', required: true, help: 'folder of the SAE' },
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
    const { createEncoder, hookSpans, loadSae } = await import('@mistudio/sae')
    const sae = loadSae({ dir })
    const { dIn, dSae, dOut } = sae.shape
    const { rows, data } = readActivations({ file, shape: sae.shape })
    const acts = new Float32Array(rows * dSae)
    const reconstruction = new Float32Array(rows * dOut)
    let firing = 0
    await withWorkerPool({ threads }, async pool => {
      const encoder = await createEncoder({ pool, sae })
      const batch = Math.min(rowsAtOnce, rows)
      const bytes = batch * (dIn + dOut) * 4 + 64 * (sae.hooks.inputs.length + sae.hooks.outputs.length + 2)
      if (bytes > memoryLimitBytes) throw new Error(`${batch} rows of ${dIn} do not fit one shared memory`)
      const memory = await pool.memory({ bytes })
      const hits = await encoder.room({ rows: batch })
      const place = ({ width }: { width: number }): Place => ({
        memory: memory.id,
        offset: memory.alloc(batch * width * 4),
      })
      const request = {
        inputs: sae.hooks.inputs.map(place),
        reconstruction: sae.hooks.outputs.map(place),
        hits,
      }
      const view = ({ offset }: Place, width: number) => memory.f32(offset, batch * width)
      for (let first = 0; first < rows; first += batch) {
        const n = Math.min(batch, rows - first)
        hookSpans(sae.hooks.inputs).forEach(([from, to], hook) => {
          const columns = view(request.inputs[hook], to - from)
          for (let r = 0; r < n; r++) {
            const row = (first + r) * dIn
            columns.set(data.subarray(row + from, row + to), r * (to - from))
          }
        })
        for (const list of await encoder.encode({ ...request, rows: n })) {
          for (let r = 0; r < list.rows; r++) {
            const row = (first + list.firstRow + r) * dSae
            for (let i = list.starts[r]; i < list.starts[r + 1]; i++)
              acts[row + list.index[i]] = list.value[i]
            firing += list.starts[r + 1] - list.starts[r]
          }
        }
        hookSpans(sae.hooks.outputs).forEach(([from, to], hook) => {
          const columns = view(request.reconstruction[hook], to - from)
          for (let r = 0; r < n; r++) {
            const row = columns.subarray(r * (to - from), (r + 1) * (to - from))
            reconstruction.set(row, (first + r) * dOut + from)
          }
        })
        context.progress({ stage: 'encoding', done: first + n, total: rows, unit: 'rows' })
      }
      await hits.close()
      await pool.release(memory)
      await encoder.close()
    })
    await writeSafetensors({
      path: out,
      tensors: [
        { name: 'feature_acts', dtype: 'F32', shape: [rows, dSae], data: acts },
        { name: 'reconstruction', dtype: 'F32', shape: [rows, dOut], data: reconstruction },
      ],
    })
    const k = sae.activation.kind === 'topk' ? sae.activation.k : null
    const { architecture, family } = sae
    return {
      path: out,
      architecture,
      family,
      rows,
      d_in: dIn,
      d_sae: dSae,
      d_out: dOut,
      k,
      l0: firing / rows,
    }
  },
  present: ({ path, rows, d_out, d_sae, l0 }) =>
    pairs([
      ['written', path],
      ['feature_acts', `[${rows}, ${d_sae}], ${count(Math.round(l0 * 100) / 100)} latents firing a row`],
      ['reconstruction', `[${rows}, ${d_out}]`],
    ]),
})

/** @throws InputError when the tensor is missing, has another shape or would give a result too large to hold */
function readActivations({
  file,
  shape: { dIn, dSae, dOut },
}: {
  file: string
  shape: { dIn: number; dSae: number; dOut: number }
}): {
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
    const most = Math.floor(largestResultBytes / 4 / (dSae + dIn + dOut))
    if (rows > most) throw fail(`${rows} rows`, `at most ${most} rows at a time`)
    return { rows, data: tensors.readF32('activations') }
  } finally {
    tensors.close()
  }
}

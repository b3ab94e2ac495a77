// The tensors of an SAE's file: SAELens's names and shapes (sae_lens/saes/*.py), and conversion to and from our weights.
import { InputError, type SafetensorsFile, type TensorSource } from '@mistudio/files'
import { groupRows } from '../../group_rows.ts'
import type { Sae, SaeWeights } from '../../sae.ts'

type Shaped = Pick<Sae, 'shape' | 'groups' | 'activation'> & { skip: boolean }

/**
 * Names and shapes: W_enc [d_in, d_sae] and W_dec [d_sae, d_out] (one each per group if there are several, with the group's
 * number), b_dec [d_out], W_skip [d_out, d_in]; b_enc, threshold, or a gated SAE's b_gate, b_mag, r_mag [d_sae].
 */
export function tensorShapes({ shape, groups, activation, skip }: Shaped): Map<string, number[]> {
  const { dIn, dSae, dOut } = shape
  const shapes = new Map<string, number[]>()
  const rows = groupRows(groups)
  for (const [g, { count, reads, writes }] of rows.entries()) {
    shapes.set(groupName('W_enc', g, rows.length), [reads, count])
    shapes.set(groupName('W_dec', g, rows.length), [count, writes])
  }
  shapes.set('b_dec', [dOut])
  const vectors = activation.kind === 'gated' ? ['b_gate', 'b_mag', 'r_mag'] : ['b_enc']
  if (activation.kind === 'jumprelu') vectors.push('threshold')
  for (const name of vectors) shapes.set(name, [dSae])
  if (skip) shapes.set('W_skip', [dOut, dIn])
  return shapes
}

const groupName = (name: string, group: number, groups: number) => (groups === 1 ? name : `${name}.${group}`)

/** float32 tensors of an SAE, in the order of their names as SAELens writes them. */
export function tensorsOf(sae: Sae): TensorSource[] {
  const { wEnc, bEnc, wDec, bDec, threshold, rMag, bMag, wSkip } = sae.weights
  const data = new Map<string, Float32Array | undefined>([
    ['b_dec', bDec],
    [sae.activation.kind === 'gated' ? 'b_gate' : 'b_enc', bEnc],
    ['threshold', threshold],
    ['b_mag', bMag],
    ['r_mag', rMag],
    ['W_skip', wSkip],
  ])
  const rows = groupRows(sae.groups)
  rows.forEach(({ count, reads, writes, encoderAt, decoderAt }, g) => {
    const encoder = wEnc.subarray(encoderAt, encoderAt + count * reads)
    data.set(groupName('W_enc', g, rows.length), transpose(encoder, count, reads))
    data.set(groupName('W_dec', g, rows.length), wDec.subarray(decoderAt, decoderAt + count * writes))
  })
  const shapes = tensorShapes({ ...sae, skip: wSkip !== undefined })
  return Array.from(
    shapes,
    ([name, shape]): TensorSource => ({ name, dtype: 'F32', shape, data: data.get(name)! }),
  ).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** @throws InputError for a tensor that is missing, has the wrong shape or is not a float type */
export function checkTensors(file: SafetensorsFile, shapes: ReadonlyMap<string, readonly number[]>): void {
  for (const [name, shape] of shapes) {
    const found = file.tensors.get(name)
    const fits = found?.shape.join() === shape.join()
    if (fits && floats.has(found!.dtype)) continue
    throw new InputError({
      message: 'the weights disagree with cfg.json',
      file: file.path,
      field: name,
      found: found === undefined ? 'no such tensor' : fits ? found.dtype : `[${found.shape}]`,
      expected: fits ? [...floats].join(', ') : `[${shape}]`,
    })
  }
}

const floats: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16', 'F64'])

/** Reads a checked tensor. @throws InputError if a value is not finite */
export function readFinite(file: SafetensorsFile, name: string): Float32Array {
  const values = file.readF32(name)
  const at = values.findIndex(value => !Number.isFinite(value))
  if (at < 0) return values
  throw new InputError({
    message: 'a weight is not a finite number',
    file: file.path,
    field: name,
    found: `${values[at]} at position ${at}`,
    expected: 'finite float32',
  })
}

/** The weights in our layout. @throws InputError as `readFinite` does */
export function readWeights(file: SafetensorsFile, shaped: Shaped): SaeWeights {
  const rows = groupRows(shaped.groups)
  const read = (name: string) => readFinite(file, name)
  const part = (name: string) => rows.map((_, g) => read(groupName(name, g, rows.length)))
  const encoders = part('W_enc').map((matrix, g) => transpose(matrix, rows[g].reads, rows[g].count))
  const gated = shaped.activation.kind === 'gated'
  return {
    wEnc: joined(encoders),
    bEnc: read(gated ? 'b_gate' : 'b_enc'),
    wDec: joined(part('W_dec')),
    bDec: read('b_dec'),
    ...(shaped.activation.kind === 'jumprelu' && { threshold: read('threshold') }),
    ...(gated && { rMag: read('r_mag'), bMag: read('b_mag') }),
    ...(shaped.skip && { wSkip: read('W_skip') }),
  }
}

function joined(parts: Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** [rows, columns] → [columns, rows]. */
function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length)
  const tile = 32
  for (let r0 = 0; r0 < rows; r0 += tile) {
    for (let c0 = 0; c0 < columns; c0 += tile) {
      for (let r = r0; r < Math.min(rows, r0 + tile); r++) {
        for (let c = c0; c < Math.min(columns, c0 + tile); c++) result[c * rows + r] = matrix[r * columns + c]
      }
    }
  }
  return result
}

// For tests: random finished SAEs of every activation and structure, and the encoder's result as dense arrays.
import { gaussianStream, type Place, type WorkerPool } from '@mistudio/tensor'
import type { Encoder } from '../src/encoder/encoder.ts'
import { hookSpans, weightSizes } from '../src/group_rows.ts'
import type { Activation, HookSpan, RowNormalisation, Sae, SaeHooks } from '../src/sae.ts'
import type { LatentGroup } from '../src/shape.ts'

export type Structure = 'sae' | 'transcoder' | 'skip_transcoder' | 'crosscoder' | 'cross_layer_transcoder'
export const structures: Structure[] = [
  'sae',
  'transcoder',
  'skip_transcoder',
  'crosscoder',
  'cross_layer_transcoder',
]
export const activations: Record<Activation['kind'], Activation> = {
  relu: { kind: 'relu' },
  topk: { kind: 'topk', k: 5 },
  jumprelu: { kind: 'jumprelu' },
  gated: { kind: 'gated' },
}

const span = (hook: string, width: number): HookSpan => ({ hook, width })

function hooksOf(structure: Structure): SaeHooks {
  const a = span('blocks.0.hook_resid_post', 12)
  const b = span('blocks.1.hook_resid_post', 9)
  const y = span('blocks.0.hook_mlp_out', 7)
  switch (structure) {
    case 'sae':
      return { inputs: [a], outputs: [a] }
    case 'transcoder':
    case 'skip_transcoder':
      return { inputs: [a], outputs: [y] }
    case 'crosscoder':
      return { inputs: [a, b], outputs: [a, b] }
    case 'cross_layer_transcoder':
      return { inputs: [a, b], outputs: [y, span('blocks.1.hook_mlp_out', 9)] }
  }
}

/** A few latents have a negative θ, which no training makes but a file may hold. */
export function randomSae(options: {
  structure?: Structure
  activation?: Activation
  normalisation?: RowNormalisation
  dSae?: number
  /** Mean of b_enc: lower is sparser. Default −0.5. */
  bias?: number
  seed?: number
}): Sae {
  const {
    structure = 'sae',
    activation = activations.topk,
    normalisation = 'none',
    dSae = 40,
    bias = -0.5,
    seed = 1,
  } = options
  const hooks = hooksOf(structure)
  const dIn = hookSpans(hooks.inputs).at(-1)![1]
  const dOut = hookSpans(hooks.outputs).at(-1)![1]
  const half = Math.ceil(dSae / 2)
  const groups: LatentGroup[] =
    structure === 'cross_layer_transcoder'
      ? [
          { latents: [0, half], input: [0, 12], output: [0, 16] },
          { latents: [half, dSae], input: [12, 21], output: [7, 16] },
        ]
      : [{ latents: [0, dSae], input: [0, dIn], output: [0, dOut] }]
  const draw = gaussianStream({ seed, purpose: 'random SAE' })
  const take = (n: number, scale: number, mean = 0) =>
    Float32Array.from({ length: n }, () => scale * draw() + mean)
  const sizes = weightSizes(groups)
  return {
    family: structure === 'sae' ? activation.kind : structure,
    shape: { dIn, dSae, dOut },
    groups,
    activation,
    centred: structure === 'sae',
    normalisation,
    weights: {
      wEnc: take(sizes.encoder, 0.4),
      bEnc: take(dSae, 0.1, bias),
      wDec: take(sizes.decoder, 0.3),
      bDec: take(dOut, 0.3),
      ...(activation.kind === 'jumprelu' && { threshold: take(dSae, 0.2, 0.2) }),
      ...(activation.kind === 'gated' && { rMag: take(dSae, 0.2), bMag: take(dSae, 0.2) }),
      ...(structure === 'skip_transcoder' && { wSkip: take(dIn * dOut, 0.3) }),
    },
    hooks,
  }
}

/** Rows of normal draws, [n, width]. */
export function randomRows(options: { n: number; width: number; seed?: number }): Float32Array {
  const { n, width, seed = 2 } = options
  const draw = gaussianStream({ seed, purpose: 'rows' })
  return Float32Array.from({ length: n * width }, () => 1.5 * draw() + 0.2)
}

export type Dense = { featureActs: Float32Array; reconstruction: Float32Array; capacity: number }

/** Encodes rows x [n, d_in] (all hook points beside each other) and spreads the hits out. */
export async function encodeDense(options: {
  pool: WorkerPool
  encoder: Encoder
  x: Float32Array
}): Promise<Dense> {
  const { pool, encoder, x } = options
  const { shape, hooks } = encoder.sae
  const n = x.length / shape.dIn
  const memory = await pool.memory({ bytes: 4 * n * (shape.dIn + shape.dOut) + 4096 })
  const place = (width: number): Place => ({ memory: memory.id, offset: memory.alloc(4 * n * width) })
  const inputs = hooks.inputs.map(({ width }) => place(width))
  const reconstruction = hooks.outputs.map(({ width }) => place(width))
  hookSpans(hooks.inputs).forEach(([from, to], hook) => {
    const rows = memory.f32(inputs[hook].offset, n * (to - from))
    for (let r = 0; r < n; r++)
      rows.set(x.subarray(r * shape.dIn + from, r * shape.dIn + to), r * (to - from))
  })
  const hits = await encoder.room({ rows: n })
  const featureActs = new Float32Array(n * shape.dSae)
  for (const list of await encoder.encode({ rows: n, inputs, hits, reconstruction })) {
    for (let r = 0; r < list.rows; r++) {
      for (let i = list.starts[r]; i < list.starts[r + 1]; i++) {
        featureActs[(list.firstRow + r) * shape.dSae + list.index[i]] = list.value[i]
      }
    }
  }
  const out = new Float32Array(n * shape.dOut)
  hookSpans(hooks.outputs).forEach(([from, to], hook) => {
    const width = to - from
    const rows = memory.f32(reconstruction[hook].offset, n * width)
    for (let r = 0; r < n; r++) out.set(rows.subarray(r * width, (r + 1) * width), r * shape.dOut + from)
  })
  const { capacity } = hits
  await hits.close()
  await pool.release(memory)
  return { featureActs, reconstruction: out, capacity }
}

/** Largest difference over the largest wanted size. */
export function worst(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let most = 0
  let error = 0
  for (let i = 0; i < wanted.length; i++) {
    most = Math.max(most, Math.abs(wanted[i]))
    error = Math.max(error, Math.abs(found[i] - wanted[i]))
  }
  return error / most
}

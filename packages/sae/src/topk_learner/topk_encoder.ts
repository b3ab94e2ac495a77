// The encoder of TopK alone, until its callers have moved to ../encoder.ts.
import {
  type Arg,
  gemmGraph,
  InputError,
  type Lanes,
  memoryLimitBytes,
  type Place,
  type Step,
  type Task,
  topkScratchBytes,
} from '@mistudio/tensor'
import type { Sae } from '../sae.ts'
import type { SaeShape, SaeWeights } from './families.ts'

/** Rows of one GEMM call; see families/topk_block.ts for why. */
const defaultRowsPerCall = 256

export type TopKEncodeRequest = {
  rows: number
  /** float32 [rows, d_in] */
  activations: Place
  /** int32 [rows, k], ascending latents */
  index: Place
  /** float32 [rows, k], after the ReLU: 0 where the latent does not fire */
  value: Place
  /** float32 [rows, d_in] */
  reconstruction?: Place
}

export interface TopKEncoder {
  readonly k: number
  readonly shape: SaeShape
  tasks(request: TopKEncodeRequest): Task[]
  close(): Promise<void>
}

/** @throws InputError for an SAE that is no TopK */
export function topkOf(sae: Omit<Sae, 'family'>): { shape: SaeShape; k: number; weights: SaeWeights } {
  if (sae.activation.kind === 'topk') return { shape: sae.shape, k: sae.activation.k, weights: sae.weights }
  throw new InputError({
    message: 'this SAE cannot be used here yet',
    field: 'architecture',
    found: sae.activation.kind,
    expected: 'topk',
  })
}

/** @throws InputError when the SAE does not fit one WebAssembly memory */
export async function createTopKEncoder(options: {
  lanes: Lanes
  sae: { shape: SaeShape; k: number; weights: SaeWeights }
  /** Default 256. */
  rowsPerCall?: number
}): Promise<TopKEncoder> {
  const { lanes, sae, rowsPerCall: chunk = defaultRowsPerCall } = options
  const { dIn, dSae } = sae.shape
  const { k } = sae
  const scratchBytes =
    Math.ceil((chunk * (dIn * 2 + dSae + 2 * k) * 4 + topkScratchBytes(dSae, k) + 5 * 64) / 64) * 64
  const bytes = (2 * dSae * dIn + dSae + dIn) * 4 + lanes.count * scratchBytes + 1024
  if (bytes > memoryLimitBytes) {
    throw new InputError({
      message: 'the SAE is too large for inference on the CPU',
      field: 'd_sae × d_in',
      found: `${dSae} × ${dIn}`,
      expected: `at most ${memoryLimitBytes} bytes with its scratch space; this needs ${bytes}`,
    })
  }
  const memory = await lanes.memory({ bytes })
  const store = (values: Float32Array) => {
    const pointer = memory.alloc(values.byteLength)
    memory.f32(pointer, values.length).set(values)
    return pointer
  }
  const wEnc = store(sae.weights.wEnc)
  const wDec = store(sae.weights.wDec)
  const bEnc = store(sae.weights.bEnc)
  const bDec = store(sae.weights.bDec)
  const scratch = memory.alloc(lanes.count * scratchBytes)
  const gemm = await lanes.session({ graph: gemmGraph() })

  let used = 0
  const area = (elements: number) => {
    const at = { base: scratch + used, stride: scratchBytes }
    used += Math.ceil((elements * 4) / 64) * 64
    return at
  }
  const x = area(chunk * dIn)
  const pre = area(chunk * dSae)
  const index = area(chunk * k)
  const value = area(chunk * k)
  const out = area(chunk * dIn)
  const candidates = area(topkScratchBytes(dSae, k) / 4)

  const call = (kernel: string, ...args: Arg[]): Step => ({
    kernel,
    memory: memory.id,
    args,
  })
  const inside = (offset: Arg) => ({ memory: memory.id, offset })
  const shifted = ({ memory: id, offset }: Place, elements: number) => ({
    memory: id,
    offset: offset + elements * 4,
  })

  return {
    k,
    shape: sae.shape,
    tasks({ rows, activations, index: indexOut, value: valueOut, reconstruction }) {
      const calls = Math.ceil(rows / chunk)
      return Array.from({ length: calls }, (_, i): Task => {
        const start = i * chunk
        const length = Math.min(chunk, rows - start)
        const steps: Step[] = [
          { copy: { from: shifted(activations, start * dIn), to: inside(x), count: length, width: dIn } },
          call('centreRows', x, bDec, length, dIn, x),
          {
            session: gemm,
            inputs: {
              a: { memory: memory.id, offset: x, dtype: 'float32', shape: [chunk, dIn] },
              b: { memory: memory.id, offset: wEnc, dtype: 'float32', shape: [dSae, dIn] },
            },
            outputs: { y: { memory: memory.id, offset: pre, dtype: 'float32', shape: [chunk, dSae] } },
          },
          call('topkRows', pre, dSae, length, dSae, bEnc, k, 1, index, value, candidates),
          { copy: { from: inside(index), to: shifted(indexOut, start * k), count: length, width: k } },
          { copy: { from: inside(value), to: shifted(valueOut, start * k), count: length, width: k } },
        ]
        if (reconstruction !== undefined) {
          steps.push(call('decodeRows', index, value, length, k, wDec, dIn, bDec, out), {
            copy: { from: inside(out), to: shifted(reconstruction, start * dIn), count: length, width: dIn },
          })
        }
        return steps
      })
    },
    async close() {
      await lanes.release(memory)
      await lanes.closeSession(gemm)
    },
  }
}

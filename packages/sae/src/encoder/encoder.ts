// A finished SAE on the worker pool: activations in, the firing latents of each token and the reconstruction out.
// Evaluation, calibration, extraction and `sae encode` share it. How many latents fire differs from row to row, so hits
// are lists (encoder_hits.ts), and a list that does not fit is encoded again into a larger one: no hit is lost.
// Calls have a fixed number of rows (a short tail includes stale rows that nobody reads), so a token's result
// does not depend on its neighbours or on the number of workers.

import { InputError } from '@mistudio/files'
import { gemmGraph, memoryLimitBytes, type Task, type WorkerPool } from '@mistudio/tensor'
import { outputsAreInputs, type Sae, type SaeHooks } from '../sae.ts'
import type { EncodeRequest } from './encode_request.ts'
import { createHitRoom, type HitList, type HitRoom } from './encoder_hits.ts'
import { encoderBytes, placeEncoder } from './encoder_memory.ts'
import { callTask } from './encoder_steps.ts'

export type { EncodeRequest } from './encode_request.ts'
export type { HitList, HitRoom } from './encoder_hits.ts'

/** Rows of one GEMM call: fastest on AVX-512, and ORT's rows are bit-identical at this count. */
const defaultRowsPerCall = 256
/** Rows of one list of hits: short, so that a list fits a worker's scratch even if every latent fires. */
const listRows = 32

export interface Encoder {
  readonly sae: Pick<Sae, 'shape' | 'hooks' | 'activation'>
  readonly rowsPerCall: number
  /** Room for the hits of up to `rows` rows, which grows when lists do not fit; close it when done. */
  room(options: { rows: number }): Promise<HitRoom>
  /** One task per call of `rowsPerCall` rows. Call `finish` afterwards, while the inputs are still in memory. */
  tasks(request: EncodeRequest): Task[]
  /**
   * After the tasks: re-encodes calls whose hits did not fit.
   * @returns the hits of all rows in order; valid until the room's next tasks
   * @throws InputError if so many latents fire that a room would exceed its limit
   */
  finish(request: EncodeRequest & { hits: HitRoom }): Promise<HitList[]>
  /** Runs the tasks and finishes them. */
  encode(request: EncodeRequest & { hits: HitRoom }): Promise<HitList[]>
  close(): Promise<void>
}

/**
 * @throws InputError when the SAE does not fit one WebAssembly memory
 * @example
 * const encoder = await createEncoder({ pool, sae: loadSae({ dir: 'data/sae' }) })
 * const hits = await encoder.room({ rows: 256 })
 * // place: float32 [256, d_in] in a memory of the pool
 * for (const { rows, starts, index, value } of await encoder.encode({ rows: 256, inputs: [place], hits }))
 *   for (let at = 0; at < starts[rows]; at++) console.log(index[at], value[at])
 * await encoder.close()
 */
export async function createEncoder(options: {
  pool: WorkerPool
  sae: Omit<Sae, 'family'>
  /** Default 256. */
  rowsPerCall?: number
}): Promise<Encoder> {
  const { pool, sae, rowsPerCall = defaultRowsPerCall } = options
  const rowsPerList = Math.min(listRows, rowsPerCall)
  const sizes = { sae, rowsPerCall, rowsPerList, workers: pool.count }
  const bytes = encoderBytes(sizes)
  if (bytes > memoryLimitBytes) {
    throw new InputError({
      message: 'the SAE is too large for inference on the CPU',
      field: 'd_sae × d_in',
      found: `${sae.shape.dSae} × ${sae.shape.dIn}`,
      expected: `at most ${memoryLimitBytes} bytes with its scratch space; this needs ${bytes}`,
    })
  }
  const memory = await pool.memory({ bytes })
  const at = placeEncoder({ ...sizes, memory })
  const gemm = await pool.session({ graph: gemmGraph() })
  const spanned = {
    sae,
    at,
    memory: memory.id,
    gemm,
    rowsPerCall,
    rowsPerList,
    restores: outputsAreInputs(sae.hooks),
  }
  const mostHits = rowsPerList * (sae.activation.kind === 'topk' ? sae.activation.k : sae.shape.dSae)
  // The largest capacity needed so far; new rooms start with it.
  let usual = sae.activation.kind === 'topk' ? mostHits : Math.min(mostHits, rowsPerList * 64)

  const tasks = (request: EncodeRequest): Task[] => {
    checkPlaces(request, sae.hooks)
    return Array.from({ length: Math.ceil(request.rows / rowsPerCall) }, (_, call) =>
      callTask({ ...spanned, request, call }),
    )
  }

  async function finish(request: EncodeRequest & { hits: HitRoom }): Promise<HitList[]> {
    const { hits, rows } = request
    for (;;) {
      const cut = hits.cut(rows)
      if (cut.most <= hits.capacity) return hits.lists(rows)
      usual = Math.min(mostHits, Math.max(2 * hits.capacity, Math.ceil(cut.most * 1.25)))
      await hits.grow(usual)
      const again = tasks({ ...request, reconstruction: undefined })
      await pool.run(again.filter((_, call) => cut.calls.has(call)))
    }
  }

  return {
    sae,
    rowsPerCall,
    room: ({ rows }) => createHitRoom({ pool, rows, rowsPerCall, rowsPerList, capacity: usual }),
    tasks,
    finish,
    async encode(request) {
      await pool.run(tasks(request))
      return finish(request)
    },
    async close() {
      await pool.release(memory)
      await pool.closeSession(gemm)
    },
  }
}

function checkPlaces({ inputs, reconstruction }: EncodeRequest, hooks: SaeHooks): void {
  const wrong = (what: string, given: number, wanted: number) =>
    new Error(`the encoder was given ${given} ${what}, its SAE has ${wanted}`)
  if (inputs.length !== hooks.inputs.length) throw wrong('inputs', inputs.length, hooks.inputs.length)
  if (reconstruction === undefined || reconstruction.length === hooks.outputs.length) return
  throw wrong('outputs', reconstruction.length, hooks.outputs.length)
}

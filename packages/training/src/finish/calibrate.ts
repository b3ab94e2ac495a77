// The threshold of a BatchTopK SAE at inference: the number θ that, over given training tokens, k latents per
// token exceed on average. The EMA kept in training follows each batch's least selected score, which scatters
// around that and lags behind the weights; both are stored.
//
// All positive scores are counted by their leading 22 bits (sign, exponent and 13 of the mantissa), so memory does not
// grow with tokens or latents, and θ is the edge between two such classes: within 2⁻¹³ of the exact quantile. The
// number of scores above an edge is exact, not estimated.

import type { ActivationPlace } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import { groupRows, hookSpans, normaliseRow, type Sae } from '@mistudio/sae'
import { gemmGraph, memoryLimitBytes, type Place, type Task, type WorkerPool } from '@mistudio/tensor'

const chunkRows = 256
/** Low float32 bits that a class ignores. */
const openBits = 10
const classes = 2 ** (31 - openBits)

export type Calibration = {
  threshold: number
  /** Mean number of latents above it, over `tokens`. */
  l0: number
  tokens: number
}

export interface Calibrator {
  /** Counts the scores of `count` tokens: int32 `rows` into each input hook point's float32 activations, in their order. */
  add(batch: { rows: Place; count: number; inputs: readonly ActivationPlace[] }): Promise<void>
  /** @throws InputError if nothing was added or fewer than k latents per token have a positive score */
  finish(): Calibration
  close(): Promise<void>
}

/**
 * @param options.sae finished, so its pre-activations are the scores of the selection; its threshold is not read
 * @throws InputError if the encoder does not fit in one WebAssembly memory
 */
export async function createCalibrator(options: {
  pool: WorkerPool
  sae: Sae
  k: number
}): Promise<Calibrator> {
  const { pool, sae, k } = options
  const { dIn, dSae } = sae.shape
  const { wEnc, bEnc, bDec } = sae.weights
  const groups = groupRows(sae.groups)
  const spans = hookSpans(sae.hooks.inputs)
  const slotFloats = chunkRows * (2 * dIn + dSae)
  const bytes = wEnc.byteLength + pool.count * (slotFloats * 4 + 256) + 1024
  if (bytes > memoryLimitBytes) {
    throw new InputError({
      message: 'the SAE is too large to calibrate its threshold',
      field: 'd_sae × d_in',
      found: `${dSae} × ${dIn}, ${bytes} bytes`,
      expected: `at most ${memoryLimitBytes} bytes; or calibration_tokens 0, which keeps the EMA`,
    })
  }
  const memory = await pool.memory({ bytes })
  const gemm = await pool.session({ graph: gemmGraph() })
  const wEncAt = memory.alloc(wEnc.byteLength)
  memory.f32(wEncAt, wEnc.length).set(wEnc)
  // One slot per worker: the columns of each hook point as captured, those of each group side by side, pre-activations.
  const slots = Array.from({ length: pool.count }, () => ({
    captured: memory.alloc(chunkRows * dIn * 4),
    read: memory.alloc(chunkRows * Math.max(...groups.map(({ reads }) => reads)) * 4),
    pre: memory.alloc(chunkRows * dSae * 4),
  }))
  const counts = new Float64Array(classes)
  let tokens = 0
  const view = (offset: number, shape: number[]) => ({
    memory: memory.id,
    offset,
    dtype: 'float32' as const,
    shape,
  })

  /** Normalises and centres in float64, and overwrites the hook points' columns with [rows, d_in]. */
  function prepare(captured: number, rows: number): void {
    const x = memory.f32(captured, chunkRows * dIn)
    const out = new Float32Array(chunkRows * dIn)
    spans.forEach(([from, to]) => {
      const width = to - from
      for (let r = 0; r < rows; r++) {
        const at = chunkRows * from + r * width
        const row = Float64Array.from(x.subarray(at, at + width))
        normaliseRow(sae.normalisation, row)
        for (let j = 0; j < width; j++) out[r * dIn + from + j] = row[j] - (sae.centred ? bDec[from + j] : 0)
      }
    })
    x.set(out)
  }

  function count(
    pre: number,
    rows: number,
    { latents: [first], count: width }: (typeof groups)[number],
  ): void {
    const scores = memory.f32(pre, chunkRows * width)
    const score = new Float32Array(1)
    const bits = new Uint32Array(score.buffer)
    for (let r = 0; r < rows; r++) {
      for (let i = 0; i < width; i++) {
        const value = scores[r * width + i] + bEnc[first + i]
        if (value <= 0) continue
        score[0] = value
        counts[bits[0] >>> openBits]++
      }
    }
  }

  return {
    async add({ rows, count: total, inputs }) {
      const chunks = Array.from({ length: Math.ceil(total / chunkRows) }, (_, c) => ({
        start: c * chunkRows,
        length: Math.min(chunkRows, total - c * chunkRows),
      }))
      for (let c = 0; c < chunks.length; c += slots.length) {
        const running = chunks.slice(c, c + slots.length).map((chunk, s) => ({ ...chunk, ...slots[s] }))
        await pool.run(
          running.map(
            ({ start, length, captured }): Task =>
              spans.map(([from, to], hook) => ({
                copy: {
                  from: inputs[hook],
                  to: { memory: memory.id, offset: captured + chunkRows * from * 4 },
                  rows: { memory: rows.memory, offset: rows.offset + start * 4 },
                  count: length,
                  width: to - from,
                },
              })),
          ),
        )
        for (const { captured, length } of running) prepare(captured, length)
        for (const group of groups) {
          const { reads, count: width, encoderAt, input } = group
          for (const { captured, read } of running) {
            const x = memory.f32(captured, chunkRows * dIn)
            const into = memory.f32(read, chunkRows * reads)
            for (let r = 0; r < chunkRows; r++) {
              into.set(x.subarray(r * dIn + input[0], r * dIn + input[1]), r * reads)
            }
          }
          await pool.run(
            running.map(
              ({ read, pre }): Task => [
                {
                  session: gemm,
                  inputs: {
                    a: view(read, [chunkRows, reads]),
                    b: view(wEncAt + encoderAt * 4, [width, reads]),
                  },
                  outputs: { y: view(pre, [chunkRows, width]) },
                },
              ],
            ),
          )
          for (const { pre, length } of running) count(pre, length, group)
        }
      }
      tokens += total
    },
    finish: () => quantile({ counts, k, tokens }),
    async close() {
      await pool.closeSession(gemm)
      await pool.release(memory)
    },
  }
}

/** The edge whose count of scores above it is nearest to k per token. */
function quantile(options: { counts: Float64Array; k: number; tokens: number }): Calibration {
  const { counts, k, tokens } = options
  const wanted = k * tokens
  let above = 0
  for (let c = counts.length - 1; c >= 0; c--) {
    const more = above + counts[c]
    if (more >= wanted && tokens > 0) {
      // The edge below the class or the one above it, whichever is nearer.
      const below = more - wanted <= wanted - above
      return { threshold: edgeBelow(below ? c : c + 1), l0: (below ? more : above) / tokens, tokens }
    }
    above = more
  }
  throw new InputError({
    message: 'no threshold gives the requested L0',
    field: 'k',
    found: `${k}; ${tokens === 0 ? 'no tokens were seen' : `${above / tokens} latents per token have a positive score`}`,
    expected: 'a k the SAE reaches; or calibration_tokens 0, which keeps the EMA',
  })
}

/** The greatest float32 below class `c`: scores of the class and above exceed it, as JumpReLU requires. */
function edgeBelow(c: number): number {
  const bits = new Uint32Array([c * 2 ** openBits - (c > 0 ? 1 : 0)])
  return new Float32Array(bits.buffer)[0]
}

// How fast this machine multiplies matrices the way the engine does: one-thread ONNX Runtime sessions in workers,
// chunks of 256 rows, weights as inputs. Published speeds are quoted with this figure.
import { gemmGraph } from './gemm.ts'
import type { WorkerPool } from './worker_pool.ts'

const rows = 256
const dIn = 768
const dSae = 8192
const repeats = 5

/**
 * Measures for about a second.
 * @param options.seconds stops earlier, after this time
 * @returns GFLOP/s over all workers, the median of five runs; a multiply-add counts as two operations
 */
export async function gemmSpeed(options: { pool: WorkerPool; seconds?: number }): Promise<number> {
  const { pool, seconds = Number.POSITIVE_INFINITY } = options
  const start = performance.now()
  const perWorker = (rows * dIn + rows * dSae) * 4
  const memory = await pool.memory({ bytes: dSae * dIn * 4 + pool.count * perWorker + 4096 })
  const session = await pool.session({ graph: gemmGraph() })
  try {
    const weights = memory.alloc(dSae * dIn * 4)
    const scratch = memory.alloc(pool.count * perWorker)
    // Not zeros: some processors multiply them faster.
    const fill = memory.f32(weights, dSae * dIn)
    for (let i = 0; i < fill.length; i++) fill[i] = ((i * 2_654_435_761) % 1009) / 1009 - 0.5
    for (let i = 0; i < pool.count; i++) memory.f32(scratch + i * perWorker, rows * dIn).fill(0.25)
    const base = { memory: memory.id, dtype: 'float32' } as const
    const task = [
      {
        session,
        inputs: {
          a: { ...base, offset: { base: scratch, stride: perWorker }, shape: [rows, dIn] },
          b: { ...base, offset: weights, shape: [dSae, dIn] },
        },
        outputs: {
          y: { ...base, offset: { base: scratch + rows * dIn * 4, stride: perWorker }, shape: [rows, dSae] },
        },
      },
    ]
    const tasks = Array.from({ length: 4 * pool.count }, () => task)
    await pool.run(tasks)
    const speeds: number[] = []
    for (let i = 0; i < repeats; i++) {
      if (i > 0 && performance.now() - start > seconds * 1000) break
      const began = performance.now()
      await pool.run(tasks)
      speeds.push((2 * rows * dIn * dSae * tasks.length) / (performance.now() - began) / 1e6)
    }
    return speeds.sort((a, b) => a - b)[Math.floor(speeds.length / 2)]
  } finally {
    await pool.closeSession(session)
    await pool.release(memory)
  }
}

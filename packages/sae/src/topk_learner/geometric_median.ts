// The geometric median of a batch: the point with the least sum of distances, which outliers hardly move.
// TopK SAEs start b_dec there (Gao et al. 2024, arXiv 2406.04093, appendix A.1).
import type { Lanes, Task } from '@mistudio/tensor'
import { type Block, chunkRows, pieces } from './topk_block.ts'

/** Weiszfeld's iteration from the mean, at most 100 steps or until it moves less than 1e-5 of its norm. */
export async function geometricMedian(options: {
  lanes: Lanes
  block: Block
  dIn: number
  batchSize: number
}): Promise<Float32Array> {
  const { lanes, block, dIn, batchSize } = options
  const { memory, at } = block
  const chunks = pieces(batchSize, chunkRows)
  const bytes = (dIn + 1) * 8
  const centre = memory.f32(at.bDec, dIn).fill(0)
  // The scratch of the encode phase is idle now; each chunk has its own partial sums there.
  const partials = at.xc
  for (let iteration = 0; iteration <= 100; iteration++) {
    const mean = iteration === 0
    await lanes.run(
      chunks.map(({ start, length }, c): Task => {
        const x = at.x + start * dIn * 4
        const out = partials + c * bytes
        return mean
          ? [{ kernel: 'columnSums', memory: memory.id, args: [x, length, dIn, 1, out] }]
          : [
              {
                kernel: 'weiszfeldStep',
                memory: memory.id,
                args: [x, length, dIn, at.bDec, out, out + dIn * 8],
              },
            ]
      }),
    )
    const numerator = new Float64Array(dIn)
    let denominator = mean ? batchSize : 0
    chunks.forEach((_, c) => {
      const partial = memory.f64(partials + c * bytes, dIn + 1)
      for (let j = 0; j < dIn; j++) numerator[j] += partial[j]
      if (!mean) denominator += partial[dIn]
    })
    let moved = 0
    let norm = 0
    for (let j = 0; j < dIn; j++) {
      const value = numerator[j] / denominator
      moved += (value - centre[j]) ** 2
      norm += value ** 2
      centre[j] = value
    }
    if (!mean && moved <= 1e-10 * norm) break
  }
  return Float32Array.from(centre)
}

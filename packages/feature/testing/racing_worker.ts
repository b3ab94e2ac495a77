// Writes the board as fast as it can, always with current_batch = samples_processed = heap_examples_count.
import { workerData } from 'node:worker_threads'
import { createProgressBoard } from '../src/extraction/progress_board.ts'

const { buffer, writes } = workerData as { buffer: SharedArrayBuffer; writes: number }
const board = createProgressBoard({ buffer })
for (let i = 1; i <= writes; i++) {
  board.write({ current_batch: i, samples_processed: i, heap_examples_count: i })
}

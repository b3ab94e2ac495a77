// A computing thread that never yields: it writes the board, blocks for 5 seconds, writes again.
import { workerData } from 'node:worker_threads'
import { createProgressBoard } from '../src/extraction/progress_board.ts'

const board = createProgressBoard({ buffer: workerData as SharedArrayBuffer })
const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

board.write({ phase: 'extracting', total_batches: 2, total_samples: 128 })
board.write({ current_batch: 1, samples_processed: 64, features_in_heap: 10, heap_examples_count: 30 })
block(5000)
board.write({ current_batch: 2, samples_processed: 128, features_in_heap: 12, heap_examples_count: 50 })

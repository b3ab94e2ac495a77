// A process that writes a cache and may be killed, for cache.test.ts: `node cache_program.ts OUT`.
import { openWorkerPool } from '@mistudio/tensor'
import { writeActivationCache } from '../src/cache/write_cache.ts'
import { createTable, randomContexts } from './table_forward.ts'

const [vocabulary, dIn, contextSize] = [200, 16, 10]
const pool = await openWorkerPool({ count: 1 })
const table = await createTable({ pool, vocabulary, dIn, hooks: ['a'], contextSize })
await writeActivationCache({
  pool,
  forward: table.forward,
  contextsPerCall: 3,
  source: randomContexts({ vocabulary, contextSize, contexts: 900 }),
  tokens: 12 * 90 * 9,
  out: process.argv[2],
  origin: {
    model: 'table',
    modelFingerprint: null,
    tokenizerFingerprint: null,
    hooks: ['a'],
    dtype: 'float32',
    windowContexts: 90,
    seed: 3,
    datasets: ['random'],
    datasetWeights: null,
    outlierNormMultiple: 1.3,
  },
})
await pool.close()

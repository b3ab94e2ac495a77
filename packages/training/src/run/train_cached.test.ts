// A training from cached activations ends with the bits of one that captures them, also over a resume.
import { join } from 'node:path'
import { cachedSource, openCachedActivations, writeActivationCache } from '@mistudio/capture'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  contextSize,
  openTrainSetup,
  source,
  type TrainSetup,
  topk,
  weightsOf,
} from '../../testing/train_support.ts'
import type { TrainMember } from '../member.ts'
import { trainSaes } from './train.ts'

let setup: TrainSetup
beforeAll(async () => {
  setup = await openTrainSetup()
})
afterAll(() => setup.close())

test('cached activations give the bits that captured ones give', async () => {
  const { pool, table, folder } = setup
  const members: TrainMember[] = [
    topk('a'),
    { ...topk('transcoder', 'a', { normalisation: 'whiten' }), family: 'transcoder', outputs: ['b'] },
  ]
  const whole = join(folder, 'whole')
  await setup.run({ out: whole, members })
  const dir = join(folder, 'cache')
  await writeActivationCache({
    pool,
    forward: table.forward,
    contextsPerCall: 3,
    source,
    tokens: 2500,
    out: dir,
    origin: {
      model: 'table',
      modelFingerprint: 'none',
      tokenizerFingerprint: 'none',
      hooks: ['a', 'b'],
      dtype: 'float32',
      windowContexts: 300 / contextSize,
      seed: 0,
      datasets: ['random'],
      datasetWeights: null,
      outlierNormMultiple: 0,
    },
  })
  const cache = openCachedActivations({ dir })
  try {
    const {
      forward: _f,
      contextsPerCall: _c,
      source: _s,
      ...options
    } = setup.options({
      out: join(folder, 'cached'),
      members,
    }) as ReturnType<TrainSetup['options']> & {
      forward?: unknown
      contextsPerCall?: unknown
      source?: unknown
    }
    const cached = { ...options, activations: cachedSource({ pool, cache }) }
    let asked = 0
    await trainSaes({ ...cached, stopped: () => asked++ === 13 })
    const result = await trainSaes({ ...cached, resume: true })
    expect(result.status).toBe('completed')
    for (const { name } of members) expect(weightsOf(cached.out, name)).toEqual(weightsOf(whole, name))
  } finally {
    cache.close()
  }
})

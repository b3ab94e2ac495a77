// A program that trains an SAE of every family in one run over the demo model and several datasets, to be killed by
// kill_loop.ts. Its one argument is JSON: model, datasets, tokens, checkpointEvery, out, resume.

import { shuffledContexts } from '@mistudio/capture'
import { openTokenStore } from '@mistudio/corpus'
import { compileForward, contextsPerCall, openModel } from '@mistudio/model'
import { withWorkerPool } from '@mistudio/tensor'
import { trainSaes } from '@mistudio/training'
import { familyMembers } from './family_members.ts'

const {
  model: dir,
  datasets,
  tokens,
  checkpointEvery,
  out,
  resume,
} = JSON.parse(process.argv[2]) as {
  model: string
  datasets: string[]
  tokens: number
  checkpointEvery: number
  out: string
  resume: boolean
}
const members = familyMembers(256)
const hooks = [...new Set(members.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))]
const model = await openModel({ dir })
const stores = datasets.map(dataset => openTokenStore({ dir: dataset }))
const [{ contextSize }] = stores
const perCall = contextsPerCall(contextSize)
await withWorkerPool({ threads: 2 }, async pool => {
  const forward = await compileForward({
    model,
    pool,
    contextsPerCall: perCall,
    contextSize,
    captures: hooks,
  })
  const splits = stores.map(store => store.split('train'))
  await trainSaes({
    pool,
    forward,
    contextsPerCall: perCall,
    source: shuffledContexts({ splits, contextSize, seed: 1, weights: splits.map((_, i) => i + 1) }),
    members,
    settings: {
      trainTokens: tokens,
      batchSize: 128,
      windowTokens: 2048,
      calibrationTokens: 4000,
      checkpointEverySteps: checkpointEvery,
      seed: 1,
    },
    modelName: model.name,
    datasets: stores.map(({ name }) => name),
    out,
    resume,
  })
  await forward.close()
})
for (const store of stores) store.close()

import { rmSync } from 'node:fs'
import { openTokenStore } from '@mistudio/corpus'
import {
  contextsInOrder,
  createActivationWindow,
  evaluateSae,
  loadSaeLens,
  shuffledContexts,
  trainSaes,
} from '@mistudio/sae'
import { openLanes } from '@mistudio/tensor'
import { compileForward } from '../../packages/model/src/forward.ts'
import { openModel } from '../../packages/model/src/load.ts'

const t0 = performance.now()
const lap = (m: string) =>
  console.log(
    ((performance.now() - t0) / 1000).toFixed(1),
    m,
    (process.memoryUsage().rss / 1e6).toFixed(0) + ' MB',
  )
const lanes = await openLanes({ count: 2 })
const model = await openModel({ dir: '/work/main/assets/demo/model', cacheDir: '/tmp/mcache' })
const stores = ['scripture', 'dictionary', 'programming', 'databases'].map(n =>
  openTokenStore({ dir: '/tmp/stores/' + n }),
)
const hooks = [
  'blocks.2.hook_resid_post',
  'blocks.2.hook_mlp_out',
  'blocks.4.hook_resid_post',
  'blocks.4.hook_mlp_out',
]
const contextSize = 128,
  contextsPerCall = Number(process.env.CPC ?? 4)
const forward = await compileForward({ model, lanes, contextsPerCall, contextSize, captures: hooks })
lap('compiled ' + forward.layersRun)
const source = shuffledContexts({ splits: stores.map(s => s.split('train')), contextSize, seed: 0 })
const w = await createActivationWindow({
  lanes,
  forward,
  contextsPerCall,
  hooks,
  source,
  contexts: 512,
  seed: 0,
})
for (let i = 0; i < 3; i++) {
  lap('fill')
  console.log(await w.fill(i))
  for (const h of hooks) {
    const m = w.moments(h)
    console.log(h, m.tokens, (m.sumSquares / m.tokens).toFixed(2), (m.sumNorms / m.tokens).toFixed(2))
  }
}
await w.close()
lap('filled')
const out = '/tmp/sae-out'
rmSync(out, { recursive: true, force: true })
const r = await trainSaes({
  lanes,
  forward,
  contextsPerCall,
  source,
  modelName: 'demo',
  datasets: [],
  out,
  members: hooks.map(hook => ({ name: hook, hook, dSae: 4096, config: { k: 32 } })),
  settings: {
    trainTokens: Number(process.env.TOK ?? 200_000),
    batchSize: Number(process.env.B ?? 1024),
    learningRate: Number(process.env.LR ?? 1e-3),
    normalisation: (process.env.NORM ?? 'none') as 'none',
  },
  onEvent: e => {
    if (e.step % 10 < 3)
      lap(
        `${e.event} ${e.step}/${e.total_steps} ${e.tokens_per_second.toFixed(0)}/s eta ${e.eta_seconds} ` +
          e.saes
            .map(
              s =>
                `${s.fvu.toFixed(3)} ${s.aux.toFixed(2)} l0 ${s.l0.toFixed(1)} dead ${s.dead_latents} g ${s.grad_norm.toFixed(2)}`,
            )
            .join(' | '),
      )
  },
})
lap('trained')
await forward.close()
const held = contextsInOrder({ splits: stores.map(s => s.split('held_out')), contextSize })
for (const s of r.saes) {
  const suffix = await compileForward({
    model,
    lanes,
    contextsPerCall,
    contextSize,
    from: s.hook,
    tokenLoss: true,
  })
  const prefix = await compileForward({
    model,
    lanes,
    contextsPerCall,
    contextSize,
    captures: [s.hook, ...suffix.frontier],
  })
  const { sums, ...e } = await evaluateSae({
    lanes,
    sae: loadSaeLens({ dir: out + '/' + s.dir }),
    hook: s.hook,
    prefix,
    suffix,
    contextsPerCall,
    source: held,
    split: 'held_out',
    maxCeTokens: 32768,
  })
  lap(s.hook + JSON.stringify(e))
  await prefix.close()
  await suffix.close()
}
await lanes.close()

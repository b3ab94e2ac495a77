// The demo: four datasets to token stores, four SAEs from one pass of the model, their evaluation, their features.
// Everything lies in <data dir>/demo; each stage looks for what an earlier run finished and does not do it again.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { gemmSpeed, withWorkerPool } from '@mistudio/tensor'
import { openTokenizer } from '@mistudio/tokenizer'
import type { JobContext } from '../../frame/command.ts'
import { evaluate } from './evaluate.ts'
import { extract } from './extract.ts'
import { pickFeatures } from './pick.ts'
import { recipe } from './recipe.ts'
import type { DemoResult, DemoSpec } from './result.ts'
import { assets, type Stage, Stopped, saeDir } from './stage.ts'
import { storeOf } from './stores.ts'
import { train } from './train.ts'

export async function runDemo(spec: DemoSpec, context: JobContext): Promise<DemoResult> {
  const began = performance.now()
  const dir = join(spec.dataDir, 'demo')
  mkdirSync(dir, { recursive: true })
  const model = join(assets, 'model')
  const tokenizer = openTokenizer({ dir: model })
  const run = join(dir, `seed-${spec.seed}`)
  try {
    return await withWorkerPool({ threads: spec.threads }, async pool => {
      const gflops = await gemmSpeed({ pool })
      context.note(`matrix product of this machine, ${pool.count} threads: ${gflops.toFixed(0)} GFLOP/s`)
      const stores: string[] = []
      for (const name of recipe.datasets) stores.push(await storeOf({ name, dir, tokenizer, context }))
      const place = { models: [model], cacheDir: join(spec.dataDir, 'cache'), stores }
      const stage: Stage = { dir: run, spec, pool, place, context }
      const trained = await train(stage)
      const evaluations = await evaluate(stage)
      const extractions = await extract(stage)
      return {
        saes: recipe.hooks.map(hook => {
          const {
            ce_tokens: _ce,
            split: _split,
            mse: _mse,
            relative_reconstruction_bias: _bias,
            density_histogram: _densities,
            ...measured
          } = evaluations[hook]
          return {
            path: saeDir(run, hook),
            hook_point: hook,
            d_sae: recipe.dSae,
            k: recipe.member.k,
            ...measured,
            tokens: trained,
          }
        }),
        extractions,
        seconds: (performance.now() - began) / 1000,
        peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
        features: await pickFeatures(extractions),
        gemm_gflops: gflops,
        evaluated_tokens: evaluations[recipe.hooks[0]].tokens,
        ce_tokens: evaluations[recipe.hooks[0]].ce_tokens,
      }
    })
  } catch (error) {
    if (!(error instanceof Stopped)) throw error
    const stopped = { savedTo: dir, how: 'run the same command to go on' }
    const nothing = {
      saes: [],
      extractions: [],
      features: [],
      gemm_gflops: 0,
      evaluated_tokens: 0,
      ce_tokens: 0,
    }
    const seconds = (performance.now() - began) / 1000
    return { ...nothing, seconds, peak_rss_bytes: process.resourceUsage().maxRSS * 1024, stopped }
  }
}

// A bug of another tool's hook points, shown to be absent here; docs/bugs.md lists it.
import { expect, test } from 'vitest'
import { largestDifference, openFixture, temporaryFolder } from '../testing/model_support.ts'
import { runOracle } from './runtimes/oracle.ts'

test('miStudio, a residual hook that is a norm’s output: resid_post is resid_mid and what the MLP adds, of every length', async () => {
  const cache = temporaryFolder()
  const model = await openFixture('llama', cache.path)
  const block = 'blocks.1'
  const names = ['hook_resid_pre', 'hook_attn_out', 'hook_resid_mid', 'hook_mlp_out', 'hook_resid_post'].map(
    name => `${block}.${name}`,
  )
  const inputIds = Array.from({ length: 8 }, (_, i) => (i * 17 + 5) % model.config.vocabSize)
  const { hooks } = runOracle({ model, inputIds, captures: names })
  const [pre, attn, mid, mlp, post] = names.map(name => Array.from(hooks.get(name)!.data))
  expect(
    largestDifference(
      mid,
      pre.map((value, i) => value + attn[i]),
    ),
  ).toBeLessThan(1e-12)
  expect(
    largestDifference(
      post,
      mid.map((value, i) => value + mlp[i]),
    ),
  ).toBeLessThan(1e-12)
  // Rows of a norm's output would all have the same mean square.
  const { dModel } = model.config
  const squares = inputIds.map((_, t) =>
    post.slice(t * dModel, (t + 1) * dModel).reduce((sum, value) => sum + value * value, 0),
  )
  expect(Math.max(...squares) / Math.min(...squares)).toBeGreaterThan(1.01)
  model.weights.close()
  cache.remove()
})

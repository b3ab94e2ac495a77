// Two language models over the same tokens give what each gives by itself.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError } from '@mistudio/files'
import { compileForward, type LanguageModel, openModel } from '@mistudio/model'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomContexts } from '../testing/table_forward.ts'
import { createActivationBuffer } from './buffer/activation_buffer.ts'
import { joinForwards, splitModelHooks } from './join_forwards.ts'
import { widthOf } from './sources.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../../model/fixtures/${name}`, import.meta.url))
const [contextSize, contextsPerCall, contexts] = [10, 2, 5]
const hooks = ['0:blocks.0.hook_resid_post', '1:blocks.1.hook_mlp_out', '1:blocks.0.hook_resid_post']
const cacheDir = mkdtempSync(join(tmpdir(), 'mistudio-join-'))
const models: LanguageModel[] = []
let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  for (const name of ['llama', 'gpt2']) models.push(await openModel({ dir: fixture(name), cacheDir }))
})
afterAll(async () => {
  for (const model of models) model.weights.close()
  await pool.close()
  rmSync(cacheDir, { recursive: true })
})

describe('two models over the same tokens', () => {
  test.each(['float32', 'bfloat16'] as const)(
    'give in %s what each gives alone, under its number',
    async storedDtype => {
      const vocabulary = Math.min(...models.map(({ config }) => config.vocabSize))
      const source = randomContexts({ vocabulary, contextSize, contexts: 20 })
      const captures = splitModelHooks({ hooks, models: 2 })
      const forwards = await Promise.all(
        models.map((model, m) =>
          compileForward({ model, pool, contextsPerCall, contextSize, captures: captures[m] }),
        ),
      )
      const joined = joinForwards({ forwards })
      expect(joined.outputs.map(({ name }) => name).sort()).toEqual([...hooks].sort())
      const options = { pool, contextsPerCall, source, contexts, seed: 3, storedDtype }
      const both = await createActivationBuffer({ ...options, forward: joined, hooks })
      const count = await both.fill(1)
      for (const [m, forward] of forwards.entries()) {
        const alone = await createActivationBuffer({ ...options, forward, hooks: captures[m] })
        expect(await alone.fill(1)).toBe(count)
        for (const hook of captures[m]) {
          expect(widthOf(joined, `${m}:${hook}`)).toBe(widthOf(forward, hook))
          expect(both.moments(`${m}:${hook}`)).toEqual(alone.moments(hook))
        }
        await alone.close()
      }
      await both.close()
      for (const forward of forwards) await forward.close()
    },
  )
})

describe('hook points of several models', () => {
  test('are sorted by model, each once', () => {
    expect(splitModelHooks({ hooks: [...hooks, hooks[0]], models: 2 })).toEqual([
      ['blocks.0.hook_resid_post'],
      ['blocks.1.hook_mlp_out', 'blocks.0.hook_resid_post'],
    ])
  })

  test.each([
    ['without a model', ['blocks.0.hook_resid_post'], /found: blocks.0.*MODEL:HOOK with MODEL from 0 to 1/],
    ['of a model that is not there', ['0:a', '2:b'], /found: 2:b/],
    ['of one model alone', ['1:a'], /also one of model 0/],
  ])('%s are refused', (_, names, message) => {
    const split = () => splitModelHooks({ hooks: names, models: 2 })
    expect(split).toThrow(InputError)
    expect(split).toThrow(message)
  })
})

// Generation: the cache changes nothing, draws repeat with their seed, and generation ends where it should.
import { InputError } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { largestDifference, openFixture, randomModel, temporaryFolder } from '../testing/model_support.ts'
import { toy } from '../testing/toy_model.ts'
import { generate } from './generate.ts'
import type { LanguageModel } from './load.ts'
import { runModel } from './run.ts'
import { openStepper } from './runtimes/onnx_stepper.ts'
import { emptyOracleCache, runOracle } from './runtimes/oracle.ts'
import { randomNumbers, sampleToken } from './sampling.ts'

const cache = temporaryFolder()
const models = new Map<string, LanguageModel>()
const names = ['llama', 'llama_mha', 'llama_rope_llama3', 'gpt2', 'gpt2_inner']
let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  for (const name of names) models.set(name, await openFixture(name, cache.path))
  models.set('toy', await randomModel({ architecture: toy, folder: cache.path }))
})
afterAll(async () => {
  for (const model of models.values()) model.weights.close()
  await pool.close()
  cache.remove()
})
const modelOf = (name: string) => models.get(name)!
const prompt = [5, 17, 3, 44, 80, 2, 9]

describe.each([...names, 'toy'])('%s', name => {
  test('tokens behind a cache have the logits of the whole computed again', async () => {
    const model = modelOf(name)
    const { vocabSize } = model.config
    const [logits] = await runModel({ model, inputIds: [prompt], captures: [], pool })
    const row = (i: number) => logits.data.subarray(i * vocabSize, (i + 1) * vocabSize)
    const stepper = await openStepper({ model, pool, capacity: prompt.length })
    const oracleCache = emptyOracleCache()
    // A prompt of three, one token, two at once, one token.
    for (const [start, end] of [
      [0, 3],
      [3, 4],
      [4, 6],
      [6, 7],
    ]) {
      const ids = prompt.slice(start, end)
      expect(largestDifference(await stepper.next(ids), row(end - 1))).toBeLessThan(1e-5)
      const oracle = runOracle({ model, inputIds: ids, cache: oracleCache })
      expect(largestDifference(oracle.logits!.data, row(end - 1))).toBeLessThan(1e-5)
    }
    await stepper.close()
  })
})

describe('sampling', () => {
  const draw = async (seed: number, temperature = 1.5) =>
    (
      await generate({
        model: modelOf('llama'),
        pool,
        inputIds: prompt,
        maxNewTokens: 20,
        temperature,
        seed,
        stopAtEos: false,
      })
    ).outputIds
  test('the same seed draws the same tokens, another seed others', async () => {
    const first = await draw(7)
    expect(first).toHaveLength(20)
    expect(await draw(7)).toEqual(first)
    expect(await draw(8)).not.toEqual(first)
  })

  test('both runtimes draw the same', async () => {
    const options = {
      model: modelOf('gpt2'),
      pool,
      inputIds: prompt,
      maxNewTokens: 12,
      temperature: 1,
      seed: 3,
    }
    const [cpu, oracle] = [await generate(options), await generate({ ...options, runtime: 'oracle' })]
    expect(oracle).toEqual(cpu)
  })

  test('shares of the draws are the softmax of logits / T', () => {
    const logits = [1, 2, 0, -3]
    const temperature = 0.7
    const random = randomNumbers(1)
    const counts = [0, 0, 0, 0]
    const draws = 20_000
    for (let i = 0; i < draws; i++) counts[sampleToken({ logits, temperature, random })]++
    const shares = logits.map(logit => Math.exp(logit / temperature))
    const total = shares.reduce((a, b) => a + b)
    shares.forEach((share, i) => {
      // Five standard deviations of a binomial share are below 0.018.
      expect(Math.abs(counts[i] / draws - share / total)).toBeLessThan(0.018)
    })
  })

  test('temperature 0 takes the lowest id of equal logits', () => {
    expect(sampleToken({ logits: [0, 3, 3, 1], temperature: 0, random: () => 0.99 })).toBe(1)
  })

  test('large temperatures and logits stay in range', () => {
    for (const logits of [
      [1e4, -1e4, 1e4],
      [0, 0, 0],
    ]) {
      const token = sampleToken({ logits, temperature: 0.1, random: () => 1 - 2 ** -33 })
      expect(token).toBe(2)
    }
  })
})

describe('ends', () => {
  test('at an end-of-sequence token, which is kept', async () => {
    const model = modelOf('llama')
    const { outputIds } = await generate({
      model,
      pool,
      inputIds: prompt,
      maxNewTokens: 6,
      stopAtEos: false,
    })
    const at = outputIds.indexOf(outputIds[2])
    const config = { ...model.config, eosTokenIds: [outputIds[2]] }
    const seen: number[] = []
    const result = await generate({
      model: { ...model, config },
      pool,
      inputIds: prompt,
      maxNewTokens: 6,
      onToken: id => seen.push(id),
    })
    expect(result).toEqual({ outputIds: outputIds.slice(0, at + 1), stopped: 'eos' })
    expect(seen).toEqual(result.outputIds)
  })

  test.each(['cpu', 'oracle'] as const)('%s: when the context is full', async runtime => {
    const model = modelOf('llama')
    const inputIds = Array.from({ length: 126 }, (_, i) => (i * 7) % 160)
    const result = await generate({ model, pool, runtime, inputIds, maxNewTokens: 50, stopAtEos: false })
    // Positions 126 and 127 are filled, and the token after the last position is still predicted.
    expect(result.outputIds).toHaveLength(3)
    expect(result.stopped).toBe('context')
  })

  test('when told to', async () => {
    const control = new AbortController()
    const result = await generate({
      model: modelOf('llama'),
      pool,
      inputIds: prompt,
      maxNewTokens: 50,
      stopAtEos: false,
      signal: control.signal,
      onToken: () => control.abort(),
    })
    expect(result.outputIds).toHaveLength(1)
    expect(result.stopped).toBe('aborted')
  })

  test('no tokens asked for', async () => {
    const result = await generate({ model: modelOf('llama'), pool, inputIds: prompt, maxNewTokens: 0 })
    expect(result).toEqual({ outputIds: [], stopped: 'length' })
  })
})

test.each([
  [[], /there are no tokens/],
  [[1, 160], /prompt\[1\]; found: 160; expected: an integer from 0 to 159/],
  [
    Array.from({ length: 129 }, () => 1),
    /do not fit the model's context; field: prompt; found: 129 tokens; expected: at most 128/,
  ],
])('a prompt that cannot be run: %#', async (inputIds, message) => {
  const error: unknown = await generate({ model: modelOf('llama'), pool, inputIds, maxNewTokens: 1 }).catch(
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(InputError)
  expect(String(error)).toMatch(message)
})

test.each([
  [{ maxNewTokens: -1 }, /number of new tokens; found: -1/],
  [{ maxNewTokens: 1.5 }, /number of new tokens; found: 1\.5/],
  [{ temperature: -0.1 }, /temperature; found: -0\.1; expected: a number, 0 or more/],
  [{ temperature: Number.NaN }, /temperature; found: NaN/],
  [{ seed: 0.5 }, /seed; found: 0\.5/],
])('settings that make no sense: %j', async (change, message) => {
  const options = { model: modelOf('llama'), pool, inputIds: prompt, maxNewTokens: 1, ...change }
  await expect(generate(options)).rejects.toThrow(message)
})

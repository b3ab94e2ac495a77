// Compiled forward passes: where the graph stops, interventions, suffixes, the loss, and rows that do not depend
// on how the work is distributed.
import { InputError } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { largestDifference, openFixture, runForward, temporaryFolder } from '../testing/model_support.ts'
import { compileForward, type ForwardOptions } from './forward.ts'
import type { LanguageModel } from './load.ts'
import { runOracle } from './runtimes/oracle.ts'
import { matrix } from './runtimes/oracle_matrix.ts'

const cache = temporaryFolder()
const contextSize = 10
let pool: WorkerPool
const models = new Map<string, LanguageModel>()
const modelOf = (name: string) => models.get(name)!
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  for (const name of ['llama', 'gpt2', 'llama_untied_bias', 'gpt2_inner']) {
    models.set(name, await openFixture(name, cache.path))
  }
})
afterAll(async () => {
  for (const model of models.values()) model.weights.close()
  await pool.close()
  cache.remove()
})

const contexts = (model: LanguageModel, count: number): number[][] =>
  Array.from({ length: count }, (_, row) =>
    Array.from({ length: contextSize }, (_, i) => (row * 31 + i * 17 + 5) % model.config.vocabSize),
  )

/** Compiles, runs once and closes. */
async function run(
  model: LanguageModel,
  options: Partial<ForwardOptions>,
  inputs: Record<string, ArrayLike<number>> = {},
  rows = 2,
) {
  const forward = await compileForward({ model, pool, contextsPerCall: 1, contextSize, ...options })
  const outputs = await runForward({ pool, forward, inputIds: contexts(model, rows), inputs })
  await forward.close()
  return { forward, outputs }
}

/** The oracle's rows, one context after the other. */
function oracle(
  model: LanguageModel,
  options: Omit<Parameters<typeof runOracle>[0], 'model' | 'inputIds' | 'replace' | 'add'>,
  change: { kind: 'replace' | 'add'; hook: string; rows: Float32Array } | undefined = undefined,
) {
  return contexts(model, 2).map((inputIds, row) => {
    const { hooks } = model
    const width = change && hooks.find(hook => hook.name === change.hook)!.width
    const part = (rows: Float32Array, n: number) =>
      Float64Array.from(rows.subarray(row * contextSize * n, (row + 1) * contextSize * n))
    const changed = change && {
      [change.kind]: { [change.hook]: matrix(contextSize, width!, part(change.rows, width!)) },
    }
    return runOracle({ model, inputIds, ...options, ...changed })
  })
}

const joined = (parts: ArrayLike<number>[]): number[] => parts.flatMap(part => Array.from(part))

describe('the graph stops at the last hook asked for', () => {
  test.each([
    ['blocks.0.hook_resid_pre', 0],
    ['blocks.0.hook_resid_mid', 1],
    ['blocks.0.hook_resid_post', 1],
    // The same value as the hook before it: block 1 need not run.
    ['blocks.1.hook_resid_pre', 1],
    ['blocks.1.attn.hook_z', 2],
    ['blocks.2.hook_mlp_out', 3],
  ])('%s runs %i blocks', async (hook, layers) => {
    for (const name of ['llama', 'gpt2']) {
      const { forward, outputs } = await run(modelOf(name), { captures: [hook] })
      expect(forward.layersRun).toBe(layers)
      expect(forward.outputs.map(port => port.name)).toEqual([hook])
      const parts = oracle(modelOf(name), { captures: [hook], logits: false })
      expect(
        largestDifference(outputs[hook], joined(parts.map(part => part.hooks.get(hook)!.data))),
      ).toBeLessThan(1e-5)
    }
  })

  test('two names of one value are both written', async () => {
    const captures = ['blocks.1.hook_resid_pre', 'blocks.0.hook_resid_post']
    const { outputs } = await run(modelOf('llama'), { captures })
    expect(outputs[captures[0]]).toEqual(outputs[captures[1]])
  })

  test('blocks before a replaced residual do not run', async () => {
    const hook = 'blocks.0.hook_resid_post'
    const { forward } = await run(modelOf('llama'), {
      captures: ['blocks.1.hook_resid_post'],
      replace: [hook],
    })
    expect(forward.layersRun).toBe(1)
  })
})

describe.each(['llama', 'gpt2', 'llama_untied_bias', 'gpt2_inner'])('interventions on %s', name => {
  const hooks = [
    'blocks.0.hook_resid_pre',
    'blocks.1.attn.hook_z',
    'blocks.1.hook_attn_out',
    'blocks.0.hook_resid_mid',
    'blocks.1.mlp.hook_post',
    'blocks.0.hook_mlp_out',
    'blocks.1.hook_resid_post',
    'ln_final.hook_normalized',
  ]
  test.each(hooks)('%s', async hook => {
    const model = modelOf(name)
    const plain = await run(model, { captures: [hook], logits: true })
    const own = plain.outputs[hook]

    const same = await run(model, { replace: [hook], logits: true }, { [`replace:${hook}`]: own })
    expect(largestDifference(same.outputs.logits, plain.outputs.logits)).toBeLessThanOrEqual(1e-6)

    const zeros = new Float32Array(own.length)
    const gone = await run(model, { replace: [hook], logits: true }, { [`replace:${hook}`]: zeros })
    const goneOracle = oracle(model, {}, { kind: 'replace', hook, rows: zeros })
    expect(
      largestDifference(gone.outputs.logits, joined(goneOracle.map(part => part.logits!.data))),
    ).toBeLessThan(1e-5)
    expect(largestDifference(gone.outputs.logits, plain.outputs.logits)).toBeGreaterThan(1e-3)

    const pushed = own.map((_, i) => Math.sin(i))
    const steered = await run(
      model,
      { add: [hook], captures: [hook], logits: true },
      { [`add:${hook}`]: pushed },
    )
    const steeredOracle = oracle(model, { captures: [hook] }, { kind: 'add', hook, rows: pushed })
    expect(
      largestDifference(steered.outputs.logits, joined(steeredOracle.map(part => part.logits!.data))),
    ).toBeLessThan(1e-5)
    // A capture shows the value after the intervention.
    expect(
      largestDifference(
        steered.outputs[hook],
        own.map((value, i) => value + pushed[i]),
      ),
    ).toBeLessThan(1e-6)
  })
})

describe.each(['llama', 'gpt2'])('suffix graphs of %s', name => {
  const last = 'blocks.2.hook_resid_post'
  test.each([
    ['blocks.1.hook_resid_post', [], 1],
    ['blocks.1.hook_mlp_out', ['blocks.1.hook_resid_mid'], 2],
    ['blocks.1.hook_resid_mid', [], 2],
    ['blocks.1.hook_attn_out', ['blocks.0.hook_resid_post'], 2],
    ['blocks.0.attn.hook_z', ['blocks.0.hook_resid_pre'], 3],
    [last, [], 0],
  ])('from %s', async (from, frontier, layers) => {
    const model = modelOf(name)
    const whole = await run(model, { captures: [from, ...frontier], tokenLoss: true, logits: true })
    const inputs = Object.fromEntries([from, ...frontier].map(hook => [hook, whole.outputs[hook]]))
    const rest = await run(model, { from, tokenLoss: true, logits: true }, inputs)
    expect(rest.forward.frontier).toEqual(frontier)
    expect(rest.forward.inputs.map(port => port.name).sort()).toEqual([from, 'input_ids', ...frontier].sort())
    // The addition that makes the residual of the hook's own block still belongs to that block.
    expect(rest.forward.layersRun).toBe(layers)
    expect(largestDifference(rest.outputs.token_loss, whole.outputs.token_loss)).toBeLessThanOrEqual(1e-6)
    expect(largestDifference(rest.outputs.logits, whole.outputs.logits)).toBeLessThanOrEqual(1e-6)
  })

  test('interventions behind the cut work, those before it are refused', async () => {
    const model = modelOf(name)
    const from = 'blocks.0.hook_resid_post'
    const { outputs } = await run(model, { captures: [from, last], tokenLoss: true })
    const inputs = { [from]: outputs[from], [`replace:${last}`]: outputs[last] }
    const rest = await run(model, { from, replace: [last], tokenLoss: true }, inputs)
    expect(largestDifference(rest.outputs.token_loss, outputs.token_loss)).toBeLessThanOrEqual(1e-6)
    for (const early of [{ captures: [from] }, { replace: ['blocks.0.hook_resid_mid'] }, { add: [from] }]) {
      await expect(run(model, { from, tokenLoss: true, ...early })).rejects.toThrow(
        /begins at another.*after/s,
      )
    }
  })
})

test.each(['llama', 'gpt2'])(
  'token_loss of %s is −log softmax of the logits at the next token',
  async name => {
    const model = modelOf(name)
    const { vocabSize } = model.config
    const { outputs } = await run(model, { logits: true, tokenLoss: true })
    contexts(model, 2).forEach((ids, row) => {
      ids.forEach((_, i) => {
        const token = row * contextSize + i
        if (i === contextSize - 1) {
          expect(outputs.token_loss[token]).toBe(0)
          return
        }
        const logits = outputs.logits.subarray(token * vocabSize, (token + 1) * vocabSize)
        const largest = Math.max(...logits)
        const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)
        const loss = Math.log(total) + largest - logits[ids[i + 1]]
        expect(Math.abs(outputs.token_loss[token] - loss)).toBeLessThan(1e-5)
      })
    })
  },
)

test('token_loss stays finite where logits are far beyond exp', async () => {
  const model = modelOf('gpt2')
  const hook = 'ln_final.hook_normalized'
  const huge = new Float32Array(2 * contextSize * model.config.dModel).map((_, i) => 1e4 * Math.sin(i))
  const { outputs } = await run(
    model,
    { replace: [hook], logits: true, tokenLoss: true },
    { [`replace:${hook}`]: huge },
  )
  expect(Math.max(...outputs.logits.map(Math.abs))).toBeGreaterThan(1e3)
  expect(outputs.token_loss.every(Number.isFinite)).toBe(true)
  expect(Math.max(...outputs.token_loss)).toBeGreaterThan(100)
})

test('rows are bit-identical whatever the number of workers and of contexts', async () => {
  const one = await openWorkerPool({ count: 1 })
  try {
    const model = modelOf('llama')
    const options = {
      model,
      contextsPerCall: 2,
      contextSize,
      captures: ['blocks.2.hook_resid_post'],
      tokenLoss: true,
    }
    const inputIds = contexts(model, 6)
    const results = []
    for (const [on, rows] of [
      [pool, 6],
      [one, 6],
      [pool, 2],
    ] as const) {
      const forward = await compileForward({ ...options, pool: on })
      results.push(await runForward({ pool: on, forward, inputIds: inputIds.slice(0, rows) }))
      await forward.close()
    }
    const [two, alone, few] = results
    expect(alone).toEqual(two)
    for (const name of Object.keys(few)) expect(few[name]).toEqual(two[name].subarray(0, few[name].length))
  } finally {
    await one.close()
  }
})

test('a partial call asks for no more tasks than it needs, and every port needs a place', async () => {
  const model = modelOf('llama')
  const forward = await compileForward({ model, pool, contextsPerCall: 4, contextSize, tokenLoss: true })
  const places = Object.fromEntries(
    [...forward.inputs, ...forward.outputs].map(({ name }) => [name, { memory: 0, offset: 65_536 }]),
  )
  expect(forward.tasks({ contexts: 5, places })).toHaveLength(2)
  expect(forward.tasks({ contexts: 4, places })).toHaveLength(1)
  expect(() => forward.tasks({ contexts: 4, places: {} })).toThrow('no place for input_ids')
  await forward.close()
})

describe('bad input', () => {
  const refused = async (options: Partial<ForwardOptions>, message: RegExp) => {
    const error: unknown = await run(modelOf('llama'), options).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(InputError)
    expect(String(error)).toMatch(message)
  }
  test('unknown hooks list the hooks there are', async () => {
    const message =
      /found: blocks\.9\.hook_resid_post.*blocks\.\{0\.\.2\}\.hook_resid_pre.*ln_final\.hook_normalized/s
    await refused({ captures: ['blocks.9.hook_resid_post'] }, message)
    await refused({ replace: ['blocks.9.hook_resid_post'], logits: true }, message)
    await refused({ from: 'blocks.9.hook_resid_post', logits: true }, message)
  })
  test('sizes', async () => {
    await refused({ logits: true, contextSize: 129 }, /found: 129.*1 to 128/s)
    await refused({ logits: true, contextSize: 0 }, /found: 0/)
    await refused({ logits: true, contextsPerCall: 0 }, /contextsPerCall/)
  })
  test('nothing asked', () => refused({}, /no outputs are requested/))
})

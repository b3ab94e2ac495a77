// Text generation: the next token from the logits of the last one, greedily or sampled. A stepper runs the model
// with a cache of earlier tokens; generate.ts does not depend on the runtime.
import { InputError } from '@mistudio/files'
import type { WorkerPool } from '@mistudio/tensor'
import type { LanguageModel } from './load.ts'
import { openStepper } from './runtimes/onnx_stepper.ts'
import { emptyOracleCache, runOracle } from './runtimes/oracle.ts'
import type { Stepper } from './runtimes/stepper.ts'
import { randomNumbers, sampleToken } from './sampling.ts'
import { checkTokenIds } from './token_ids.ts'

export type GenerateOptions = {
  model: LanguageModel
  /** Needed by the `cpu` runtime, which runs on worker 0 with as many threads as there are workers. */
  pool?: WorkerPool
  /** Default `cpu`. */
  runtime?: 'cpu' | 'oracle'
  /** The prompt. */
  inputIds: readonly number[]
  maxNewTokens: number
  /** 0 (the default) takes the likeliest token; otherwise logits are divided by it and a token is drawn. */
  temperature?: number
  /** Default 0. The same seed draws the same tokens. */
  seed?: number
  /** End after an end-of-sequence token, which is kept. Default true. */
  stopAtEos?: boolean
  onToken?: (id: number) => void
  signal?: AbortSignal
}

export type Generated = {
  /** The new tokens only. */
  outputIds: number[]
  /** `context`: the model's context is full. */
  stopped: 'eos' | 'length' | 'context' | 'aborted'
}

/**
 * @throws InputError for an empty prompt, one longer than the context, ids beyond the vocabulary, or a number of
 * tokens, temperature or seed that makes no sense
 * @example
 * const tokenizer = openTokenizer({ dir: model.dir })
 * const inputIds = tokenizer.encodeIds('In the beginning')
 * const { outputIds } = await generate({ model, pool, inputIds, maxNewTokens: 20 })
 * console.log(tokenizer.decode(outputIds))
 */
export async function generate(options: GenerateOptions): Promise<Generated> {
  const {
    model,
    inputIds,
    maxNewTokens,
    temperature = 0,
    seed = 0,
    stopAtEos = true,
    onToken,
    signal,
  } = options
  const { nCtx, eosTokenIds } = model.config
  checkSettings(options)
  checkTokenIds({ ids: inputIds, config: model.config, field: 'prompt' })
  const capacity = Math.min(nCtx, inputIds.length + maxNewTokens)
  const stepper = await stepperOf(options, capacity)
  const random = randomNumbers(seed)
  const outputIds: number[] = []
  try {
    let pending = inputIds
    for (;;) {
      if (outputIds.length >= maxNewTokens) return { outputIds, stopped: 'length' }
      if (signal?.aborted) return { outputIds, stopped: 'aborted' }
      // The last token that fits is still predicted; nothing can follow it.
      if (inputIds.length + outputIds.length > nCtx) return { outputIds, stopped: 'context' }
      const token = sampleToken({ logits: await stepper.next(pending), temperature, random })
      outputIds.push(token)
      onToken?.(token)
      if (stopAtEos && eosTokenIds.includes(token)) return { outputIds, stopped: 'eos' }
      pending = [token]
    }
  } finally {
    await stepper.close()
  }
}

function checkSettings({ maxNewTokens, temperature = 0, seed = 0 }: GenerateOptions): void {
  const isWhole = (n: number) => Number.isSafeInteger(n) && n >= 0
  const check = (fine: boolean, field: string, found: number, expected: string) => {
    if (fine) return
    throw new InputError({
      message: 'text cannot be generated with this setting',
      field,
      found: String(found),
      expected,
    })
  }
  check(isWhole(maxNewTokens), 'number of new tokens', maxNewTokens, 'an integer, 0 or more')
  check(Number.isFinite(temperature) && temperature >= 0, 'temperature', temperature, 'a number, 0 or more')
  check(isWhole(seed), 'seed', seed, 'an integer, 0 or more')
}

async function stepperOf(
  { model, pool, runtime = 'cpu' }: GenerateOptions,
  capacity: number,
): Promise<Stepper> {
  if (runtime === 'oracle') return oracleStepper(model)
  if (pool === undefined) throw new Error('the cpu runtime needs a worker pool')
  return openStepper({ model, pool, capacity })
}

function oracleStepper(model: LanguageModel): Stepper {
  const cache = emptyOracleCache()
  return {
    next: async ids => runOracle({ model, inputIds: ids, cache }).logits!.data,
    close: async () => {},
  }
}

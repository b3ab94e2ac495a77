// A model's predictions when some of its hook points have other values: the suffix after the first
// of them, with each token's loss and its KL divergence from the untouched run. Logits never leave the worker; the
// clean run's log-probabilities stay in the worker's scratch while the variants of the same contexts run.
import { InputError } from '@mistudio/files'
import { memoryLimitBytes, type WorkerPool } from '@mistudio/tensor'
import { compileForward, type Forward } from './forward.ts'
import { resolveHook } from './hooks.ts'
import type { LanguageModel } from './load.ts'

export type Splice = Forward & {
  /** In the order of the forward pass; the first one's value is an input of its name. */
  hooks: readonly string[]
  contextsPerCall: number
  vocabSize: number
}

/** Tokens of one call, as for a capture. */
const tokensPerCall = 1024
/** Log-probabilities of all workers, twice: for the clean run and for the others. */
const largestScratchBytes = 1 << 30

/**
 * Inputs: `input_ids`, the first hook's own value and the frontier, `splice:HOOK` of every hook, `spliced` [tokens, 1],
 * `clean_log_probs`; outputs `token_loss`, `token_kl`, `log_probs` (see forward.ts).
 * @throws InputError for an unknown hook point or contexts whose log-probabilities do not fit the worker pool's memory
 */
export async function compileSplice(options: {
  model: LanguageModel
  pool: WorkerPool
  hooks: readonly string[]
  contextSize: number
}): Promise<Splice> {
  const { model, pool, contextSize } = options
  const order = (name: string) => model.hooks.indexOf(resolveHook(model.hooks, name))
  const hooks = [...new Set(options.hooks)].sort((a, b) => order(a) - order(b))
  const { vocabSize } = model.config
  const bytesOf = (contexts: number) => contexts * contextSize * vocabSize * 4 * 2 * pool.count
  let contextsPerCall = Math.max(1, Math.floor(tokensPerCall / contextSize))
  while (contextsPerCall > 1 && bytesOf(contextsPerCall) > largestScratchBytes) contextsPerCall--
  if (bytesOf(contextsPerCall) > memoryLimitBytes) {
    throw new InputError({
      message: 'the log-probabilities of one context do not fit in the worker pool’s memory',
      field: 'context size × vocabulary',
      found: `${contextSize} × ${vocabSize}, ${pool.count} threads`,
      expected: `at most ${memoryLimitBytes} bytes for all threads: fewer threads or shorter contexts`,
    })
  }
  const forward = await compileForward({
    model,
    pool,
    contextsPerCall,
    contextSize,
    from: hooks[0],
    splice: hooks,
    tokenLoss: true,
    tokenKl: true,
  })
  return { ...forward, hooks, contextsPerCall, vocabSize }
}

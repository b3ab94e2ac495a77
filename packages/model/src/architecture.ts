// What an architecture is: a config reader and one function over `Ops<T>`. Everything else about a
// model (parameters, hook points, cache, the head) is found by running that function over shapes (runtimes/shapes.ts).
import type { ConfigReader } from './config_reader.ts'
import type { Hooks, Ops } from './ops.ts'

export type Parameter = { name: string; shape: number[] }

/** What every reader returns, whatever the architecture. Sizes in elements. */
export type DecoderConfig = {
  nLayers: number
  dModel: number
  /** The longest context, in tokens. */
  nCtx: number
  vocabSize: number
  /** Generation ends at any of `eosTokenIds`; `eosTokenId` is the first. */
  eosTokenId: number | null
  eosTokenIds: number[]
  bosTokenId: number | null
}

export type ModelConfig = DecoderConfig & {
  /** The `model_type` of config.json. */
  kind: string
}

/** A model without its weights. */
export type Decoder = {
  config: ModelConfig
  /** Prefix of parameter names that some checkpoints leave out. */
  prefix: string
  /** The whole forward pass. @returns logits [tokens, vocab] */
  forward<T>(ops: Ops<T>, hooks: Hooks<T>): T
}

export type Architecture = {
  /** The values of `model_type` it handles. */
  modelTypes: readonly string[]
  /** @throws InputError naming the key */
  read(options: { reader: ConfigReader; modelType: string }): Decoder
}

/**
 * The config type `C` is known only in the architecture's own file.
 *
 * ```ts
 * export const llama = defineArchitecture<LlamaConfig>({
 *   modelTypes: ['llama'],
 *   prefix: 'model.',
 *   readConfig,
 *   forward,
 * })
 * ```
 */
export function defineArchitecture<C extends DecoderConfig>(definition: {
  modelTypes: readonly string[]
  prefix: string
  /** @throws InputError naming the key */
  readConfig(reader: ConfigReader): C
  /** Marks every hook point; ends with `ops.finalNorm` and `ops.unembed`. */
  forward<T>(ops: Ops<T>, config: C, hooks: Hooks<T>): T
}): Architecture {
  const { modelTypes, prefix, readConfig, forward } = definition
  return {
    modelTypes,
    read({ reader, modelType }) {
      const config = { ...readConfig(reader), kind: modelType }
      return { config, prefix, forward: (ops, hooks) => forward(ops, config, hooks) }
    },
  }
}

// The public face of @mistudio/model.

export { openTokenizer, type Tokenizer } from '@mistudio/tokenizer'
export { type Architecture, architectures, type Parameter } from './architectures.ts'
export { type DecoderConfig, type ModelConfig, readModelConfig } from './config.ts'
export { checkStore, contextsPerCall } from './contexts.ts'
export { modelFingerprint } from './fingerprint.ts'
export { compileForward, type Forward, type ForwardOptions, type Port } from './forward.ts'
export { type Generated, type GenerateOptions, generate } from './generate.ts'
export {
  aliasOfHook,
  blockHooks,
  finalNormalized,
  type HookAlias,
  type HookPoint,
  hookAliases,
  hookOfAlias,
  hookPoints,
  resolveHook,
} from './hooks.ts'
export {
  defaultCacheDir,
  describeModel,
  type LanguageModel,
  type ModelDescription,
  openModel,
} from './load.ts'
export type { Activation, AttentionOptions, Hooks, Ops, WeightLayout } from './ops.ts'
export { type NamedTensor, type RunOptions, runModel } from './run.ts'
export { type Matrix, runOracle } from './runtimes/oracle.ts'
export { compileSplice, type Splice } from './splice.ts'
export { checkTokenIds } from './token_ids.ts'
export type { WeightInfo, WeightStore } from './weights.ts'

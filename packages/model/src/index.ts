// The public face of @mistudio/model.
export {
  type Architecture,
  type Decoder,
  type DecoderConfig,
  defineArchitecture,
  type ModelConfig,
  type Parameter,
} from './architecture.ts'
export { architectures } from './architectures.ts'
export { readDecoder } from './config.ts'
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
  resolveHook,
} from './hooks.ts'
export {
  defaultCacheDir,
  describeModel,
  type LanguageModel,
  type ModelDescription,
  openModel,
} from './load.ts'
export type {
  Activation,
  AttentionOptions,
  FinalNorm,
  Hooks,
  Norm,
  Ops,
  Unembed,
  WeightLayout,
} from './ops.ts'
export { type NamedTensor, type RunOptions, runModel } from './run.ts'
export { runOracle } from './runtimes/oracle.ts'
export type { Matrix } from './runtimes/oracle_matrix.ts'
export type { CacheEntry, LayerShape, ModelShapes } from './runtimes/shapes.ts'
export { compileSplice, type Splice } from './splice.ts'
export { checkTokenIds } from './token_ids.ts'
export type { WeightInfo, WeightStore } from './weights.ts'

// The public face of @mistudio/sae.
export {
  type Advice,
  type AdviceOptions,
  type AdviceRun,
  adviceLine,
  adviseTraining,
  parametersOf,
} from './advice.ts'
export { type CacheInfo, tokensOf as cachedTokensOf } from './cache/cache_index.ts'
export { type CachedActivations, checkCachedActivations } from './cache/cached.ts'
export { isSaeLensCache } from './cache/saelens_cache.ts'
export * from './cache/write_cache.ts'
export * from './cached_activations.ts'
export * from './calibrate.ts'
export * from './checkpoint.ts'
export type { EarlyEnd } from './early_stop.ts'
export * from './encoder.ts'
export * from './evaluate.ts'
export type { AbsorptionReport } from './evaluation/absorption.ts'
export * from './evaluation/frontier.ts'
export { frontierSvg } from './evaluation/frontier_svg.ts'
export { checkSaeFits, type OpenEvaluation, openEvaluation } from './evaluation/open.ts'
export * from './evaluation/paired.ts'
export { type ProbedSae, probeSaes } from './evaluation/probe_saes.ts'
export type { ProbingReport } from './evaluation/probing.ts'
export * from './evaluation/saebench.ts'
export {
  datasetTask,
  fileTask,
  firstLetterPrompts,
  nextLetterTask,
  type ProbeTask,
} from './evaluation/tasks.ts'
export { type WeightMetrics, weightMetrics } from './evaluation/weight_metrics.ts'
export { families, familyNames, familyOf } from './families.ts'
export type { Family, FamilyContext, HookUse, MemberConfig, Paper } from './family.ts'
export { memberFields } from './family.ts'
export * from './fields.ts'
export * from './finalise.ts'
export { fitInitialWeights } from './fit_weights.ts'
export * from './formats/saelens.ts'
export { gemmSpeed } from './gemm_speed.ts'
export * from './group_rows.ts'
export * from './infer.ts'
export { initialWeights } from './initial_weights.ts'
export * from './join_forwards.ts'
export { createLearner, learnerBytes } from './learner/learner.ts'
export type * from './learner.ts'
export {
  type CompleteMember,
  completeMember,
  type DescribedMember,
  settingsOf,
  type TrainMember,
} from './member.ts'
export { membersOf, type RunMember, type Sweep, variantsOf } from './members.ts'
export * from './metric_table.ts'
export * from './metrics.ts'
export * from './normalise.ts'
export { type Dynamics, type Plan, type SaeShape, steadyDynamics } from './plan.ts'
export { type Probe, probeMachine } from './probe.ts'
export * from './random.ts'
export { type Recipe, recipeOf, recipes, splitRecipe } from './recipes.ts'
export { checkpointsOf, type KeptCheckpoint } from './retention.ts'
export * from './run_settings.ts'
export {
  type Activation,
  type HookSpan,
  hookLabel,
  outputsAreInputs,
  type RowNormalisation,
  type Sae,
  type SaeHooks,
  type SaeWeights,
} from './sae.ts'
export * from './schedule.ts'
export * from './sources.ts'
export * from './synthetic/data.ts'
export * from './synthetic/defaults.ts'
export * from './synthetic/generate.ts'
export * from './synthetic/ground_truth.ts'
export * from './synthetic/judge.ts'
export * from './synthetic/run.ts'
export * from './synthetic/score.ts'
export * from './train.ts'
export { type Finalised, finaliseCheckpoint } from './train_finalise.ts'
export type { SavedThreshold, TrainedSae } from './train_finish.ts'
export type { CreateLearner } from './train_member.ts'
export * from './train_progress.ts'
export * from './train_record.ts'
export { retrySae } from './train_retry.ts'
export { captureWindows, type WindowSource } from './train_window.ts'
export { saveUntrained, untrainedSae } from './untrained.ts'
export { l0Range, type Warning, type WarningKind, warningKinds } from './warnings.ts'
export * from './window.ts'

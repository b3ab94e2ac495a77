// The public face of @mistudio/training.

export type { HookUse } from '@mistudio/contract'
export {
  type Advice,
  type AdviceOptions,
  type AdviceRun,
  adviceLine,
  adviseTraining,
  parametersOf,
} from './advice/advice.ts'
export { type Probe, probeMachine } from './advice/probe.ts'
export { families, familyNames, familyOf } from './families.ts'
export type { Family, FamilyContext, MemberConfig, Paper } from './family.ts'
export { memberFields } from './family.ts'
export * from './fields.ts'
export * from './finish/calibrate.ts'
export type { EarlyEnd } from './finish/early_stop.ts'
export * from './finish/finalise.ts'
export type { SavedThreshold, TrainedSae } from './finish/train_finish.ts'
export { saveUntrained, untrainedSae } from './finish/untrained.ts'
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
export { type Dynamics, type Plan, steadyDynamics } from './plan.ts'
export { type Recipe, recipeOf, recipes, splitRecipe } from './recipes.ts'
export * from './run/checkpoint.ts'
export { checkpointsOf, type KeptCheckpoint } from './run/retention.ts'
export * from './run/run_plan.ts'
export * from './run/train.ts'
export { type Finalised, finaliseCheckpoint } from './run/train_finalise.ts'
export type { CreateLearner } from './run/train_member.ts'
export * from './run/train_progress.ts'
export * from './run/train_record.ts'
export { retrySae } from './run/train_retry.ts'
export { l0Range, type Warning, type WarningKind, warningKinds } from './run/warnings.ts'
export * from './run_settings.ts'
export * from './schedule.ts'
export { fitInitialWeights } from './start/fit_weights.ts'
export { initialWeights } from './start/initial_weights.ts'
export * from './start/normalise.ts'
export * from './synthetic/data.ts'
export * from './synthetic/defaults.ts'
export * from './synthetic/generate.ts'
export * from './synthetic/ground_truth.ts'
export * from './synthetic/judge.ts'
export * from './synthetic/run.ts'
export * from './synthetic/score.ts'

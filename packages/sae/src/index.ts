// The public face of @mistudio/sae.
export * from './checkpoint.ts'
export * from './encoder.ts'
export * from './evaluate.ts'
export { families, familyNames, familyOf } from './families.ts'
export type { Family, FamilyContext, HookUse, MemberConfig, Paper } from './family.ts'
export { memberFields } from './family.ts'
export * from './fields.ts'
export {
  type CompleteMember,
  completeMember,
  type DescribedMember,
  settingsOf,
} from './member.ts'
export type { TopKConfig } from './topk_learner/topk_config.ts'
export { initialWeights } from './topk_learner/topk_weights.ts'
export * from './topk_learner/families.ts'
export { families as topkFamilies } from './topk_learner/families.ts'
export * from './formats/saelens.ts'
export * from './metrics.ts'
export * from './random.ts'
export * from './schedule.ts'
export * from './sources.ts'
export * from './synthetic/data.ts'
export * from './synthetic/generate.ts'
export * from './synthetic/ground_truth.ts'
export * from './synthetic/score.ts'
export * from './train.ts'
export * from './train_progress.ts'
export * from './train_record.ts'
export * from './train_settings.ts'
export * from './window.ts'

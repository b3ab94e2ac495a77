// The public face of @mistudio/evaluation.
export * from './evaluate.ts'
export * from './frontier.ts'
export { frontierSvg } from './frontier_svg.ts'
export * from './metric_table.ts'
export { checkSaeFits, type OpenEvaluation, openEvaluation } from './open.ts'
export * from './paired.ts'
export type { AbsorptionReport } from './probing/absorption.ts'
export { type ProbedSae, probeSaes } from './probing/probe_saes.ts'
export type { ProbingReport } from './probing/probing.ts'
export {
  datasetTask,
  fileTask,
  firstLetterPrompts,
  nextLetterTask,
  type ProbeTask,
} from './probing/tasks.ts'
export * from './saebench.ts'
export { type WeightMetrics, weightMetrics } from './weight_metrics.ts'

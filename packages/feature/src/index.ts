// The public face of @mistudio/feature.
export type { NlpSummary, TokenShare } from '@mistudio/contract'
export * from './collect/collector.ts'
export * from './collect/heap.ts'
export { type FeatureStatistics, logBin, logBinRange, logBins } from './collect/statistics.ts'
export { defaultWindow, type ExampleWindow, type WindowShape } from './collect/windows.ts'
export {
  type ExtractOptions,
  extractFeatures,
  extractWith,
  inputHooks,
  inResidualStream,
} from './extraction/extract.ts'
export * from './extraction/progress.ts'
export * from './extraction/progress_board.ts'
export { type Example, exampleColumns, type PieceTokenizer, tokenTexts } from './files/examples.ts'
export { type ExtractionInfo, readExtractionInfo } from './files/extraction_file.ts'
export type { Feature } from './files/features.ts'
export * from './files/mark.ts'
export { readability, readabilityDefinition, readableDensity } from './files/readability.ts'
export * from './files/show.ts'
export type { FeatureExamples, TopExample } from './files/top_examples.ts'
export { type ExtractionSummary, writeExtraction } from './files/write_extraction.ts'
export { logitHead } from './logit_head.ts'
export { computeLogits, type FeatureLogits, type LogitHead } from './logits.ts'
export { createNlpAnalyser, type NlpAnalyser, nlpListLength } from './nlp/analyse.ts'
export type { NlpExample } from './nlp/window_text.ts'

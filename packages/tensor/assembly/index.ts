// The kernels' module: everything exported here is callable over a shared memory (src/kernels.ts lists them).
// No kernel keeps state, allocates, or reads outside the ranges it is given; nothing is bounds-checked.
export { topkRows, gatherColumns } from './topk'
export { residualRows } from './decode'
export { buildLists } from './lists'
export { weightGrads } from './gradients'
export { finishGrads } from './finish'
export { collectAbove, splitRows, decodeSpans, dotSpans, decodeHits, scoreRows, unscoreHits } from './hits'
export {
  reluRows, jumpreluRows, gatedRows, reluInto, reluBack, powerBack, jumpreluBack, gatedBack, expRange,
} from './activation'
export { tokenRmsRows, layerNormRows, reconstructionSums, segmentNorms, combineRange } from './rows'
export { normaliseSpan, restoreSpan, packRows, gateSpans, decodeLists } from './encode'
export { adamRows, normaliseRows, centreRows, rowNorms, maxAbsRows, scaleRange, addRange } from './dense'
export { columnSums, weightedRowSum, runningMoments } from './statistics'
export { quantiseRowsU8, quantiseTransposeI8 } from './quantise'
export { upperScores, rescoreRows, settleSpans } from './screen'
export { gatherCandidates } from './candidates'
export { settleCandidates } from './settle'

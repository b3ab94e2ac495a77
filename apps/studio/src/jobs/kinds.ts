// The kinds of jobs: a file in kinds/ and a line here each.
import type { JobKind } from '@mistudio/contract'
import type { JobKindHandler } from './kind.ts'
import { extractKind } from './kinds/extract.ts'
import { finaliseKind } from './kinds/finalise.ts'
import { nlpKind } from './kinds/nlp.ts'
import { retryKind } from './kinds/retry.ts'
import { tokenizeKind } from './kinds/tokenize.ts'
import { trainKind } from './kinds/train.ts'

export const kinds: Record<JobKind, JobKindHandler> = {
  tokenize: tokenizeKind,
  train: trainKind,
  retry: retryKind,
  finalise: finaliseKind,
  extract: extractKind,
  nlp: nlpKind,
}

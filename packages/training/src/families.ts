// The families of SAEs by name. A new family is one file in families/ and one line here; the command line, studio, recipes,
// documents and learners need no other change.

import { notFound } from '@mistudio/files'
import { batchtopk } from './families/batchtopk.ts'
import { crossLayerTranscoder } from './families/cross_layer_transcoder.ts'
import { crosscoder } from './families/crosscoder.ts'
import { gated } from './families/gated.ts'
import { jumprelu } from './families/jumprelu.ts'
import { matryoshka } from './families/matryoshka.ts'
import { pAnneal } from './families/p_anneal.ts'
import { skipTranscoder } from './families/skip_transcoder.ts'
import { standard } from './families/standard.ts'
import { topk } from './families/topk.ts'
import { transcoder } from './families/transcoder.ts'
import type { Family } from './family.ts'
import type { FieldTable } from './fields.ts'

/** In display order. */
export const families: readonly Family[] = [
  widened(standard),
  widened(gated),
  widened(topk),
  widened(batchtopk),
  widened(jumprelu),
  widened(matryoshka),
  widened(pAnneal),
  widened(transcoder),
  widened(skipTranscoder),
  widened(crosscoder),
  widened(crossLayerTranscoder),
]

export const familyNames: readonly string[] = families.map(({ name }) => name)

/** @throws InputError naming the nearest families */
export function familyOf(name: string): Family {
  const family = families.find(family => family.name === name)
  if (family !== undefined) return family
  throw notFound({ what: 'family', field: 'family', name, known: familyNames })
}

/** A family reads only configurations that `readFields` made from its own table, so erasing its own types is safe. */
function widened<T extends FieldTable>(family: Family<T>): Family {
  return family as unknown as Family
}

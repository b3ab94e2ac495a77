// The families of SAEs by name. A new family is one file in families/ and one line here; the command line, studio, recipes,
// documents and learners need no other change.

import { notFound } from '@mistudio/files'
import type { Family } from './family.ts'
import type { FieldTable } from './fields.ts'

/** In display order. */
export const families: readonly Family[] = [
  widened((await import('./families/standard.ts')).standard),
  widened((await import('./families/gated.ts')).gated),
  widened((await import('./families/topk.ts')).topk),
  widened((await import('./families/batchtopk.ts')).batchtopk),
  widened((await import('./families/jumprelu.ts')).jumprelu),
  widened((await import('./families/matryoshka.ts')).matryoshka),
  widened((await import('./families/p_anneal.ts')).pAnneal),
  widened((await import('./families/transcoder.ts')).transcoder),
  widened((await import('./families/skip_transcoder.ts')).skipTranscoder),
  widened((await import('./families/crosscoder.ts')).crosscoder),
  widened((await import('./families/cross_layer_transcoder.ts')).crossLayerTranscoder),
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

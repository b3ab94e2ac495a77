// Whatever final norm and unembedding a model has: the logits of a direction are those the model gives it.
import type { LanguageModel } from '@mistudio/model'
import { expect, test } from 'vitest'
import { logitHead } from './logit_head.ts'

type Head = Pick<LanguageModel['shapes'], 'finalNorm' | 'unembed'>

const weights: Record<string, number[]> = {
  norm: [0.5, -1, 2],
  // [vocab, width] and its transpose.
  head: [1, 2, 3, 4, 5, 6],
  turned: [1, 4, 2, 5, 3, 6],
}

function headOf(shapes: Head) {
  return logitHead({
    config: { dModel: 3 },
    shapes,
    weights: { readF32: (name: string) => Float32Array.from(weights[name]) },
  } as unknown as LanguageModel)
}

const rms = { kind: 'rms', epsilon: 1e-5 } as const
const unembed = { weight: 'head', vocab: 2 }
const rows = [1, 2, 3, 4, 5, 6]

test.each([
  ['RMS norm', { ...rms, weight: 'norm' }, unembed, [0.5, -1, 2], false],
  ['layer norm', { ...rms, kind: 'layer', weight: 'norm' }, unembed, [0.5, -1, 2], true],
  ['unit offset', { ...rms, weight: 'norm', unitOffset: true }, unembed, [1.5, 0, 3], false],
  ['no weight', rms, unembed, [1, 1, 1], false],
  ['no norm', { kind: 'none' }, unembed, [1, 1, 1], false],
  ['scaled logits', { ...rms, weight: 'norm' }, { ...unembed, scale: 4 }, [2, -4, 8], false],
  [
    'stored the other way round',
    { ...rms, weight: 'norm' },
    { weight: 'turned', vocab: 2, layout: 'in_out' },
    [0.5, -1, 2],
    false,
  ],
] as [string, Head['finalNorm'], Head['unembed'], number[], boolean][])(
  '%s',
  (_, finalNorm, head, gamma, centre) => {
    const found = headOf({ finalNorm, unembed: head })
    expect(Array.from(found.gamma)).toEqual(gamma)
    expect(Array.from(found.unembed)).toEqual(rows)
    expect(found.centre).toBe(centre)
  },
)

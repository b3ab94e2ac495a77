import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { byteTokenizer, evenHits, useFolder } from '../../testing/feature_support.ts'
import { createCollector } from '../collect/collector.ts'
import { tokenTexts } from './examples.ts'
import { readExtractionInfo } from './extraction_file.ts'
import { openExtraction } from './show.ts'
import { writeExtraction } from './write_extraction.ts'

const folder = useFolder()
const contextSize = 4
const span = { hook: 'blocks.1.hook_resid_post', width: 2 }

/** Feature f of 6 fires f times, at the first token of f contexts of its own; feature 0 never. */
async function written(name = 'extraction') {
  const collector = createCollector({ features: 6, contextSize, seed: 1, examplesPerFeature: 3 })
  const contexts = 15
  const owner = [1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5]
  collector.add({
    contexts,
    firstContext: 0,
    ids: Int32Array.from({ length: contexts * contextSize }, (_, i) => 65 + (i % 26)),
    mask: new Uint8Array(contexts * contextSize).fill(1),
    hits: evenHits({
      k: 1,
      index: Array.from({ length: contexts * contextSize }, (_, i) => owner[Math.floor(i / contextSize)]),
      value: Array.from({ length: contexts * contextSize }, (_, i) =>
        i % contextSize === 0 ? 10 - i / 100 : 0,
      ),
    }),
  })
  const out = folder.path(name)
  await writeExtraction({
    out,
    collector,
    origin: {
      sae: {
        dir: folder.path('sae'),
        hooks: { inputs: [span], outputs: [span] },
        shape: { dIn: 2, dSae: 6, dOut: 2 },
        k: 1,
        architecture: 'topk',
        family: 'topk',
      },
      model: { dir: folder.path('model'), name: 'tiny' },
      stores: [{ dir: folder.path('store'), name: 'store' }],
      split: 'train',
      tokensRead: contexts * contextSize,
      contexts,
      contextSize,
      seed: 1,
      complete: true,
      window: { before: 24, after: 16 },
      quantilesPerBin: 2,
    },
    originOf: ({ context }) => ({
      store: 'store',
      context,
      document: context,
      sourceFile: 'f',
      sourceRow: 1,
    }),
    texts: tokenTexts({ tokenizer: byteTokenizer }),
  })
  return out
}

test('lists features that fired, in the order asked for, page by page', async () => {
  const extraction = await openExtraction({ dir: await written() })
  const numbers = async (options: Parameters<typeof extraction.features>[0]) =>
    (await extraction.features(options)).map(({ feature }) => feature)
  expect(await numbers({ sortBy: 'feature' })).toEqual([1, 2, 3, 4, 5])
  expect(await numbers({ sortBy: 'density' })).toEqual([5, 4, 3, 2, 1])
  expect(await numbers({ sortBy: 'max' })).toEqual([1, 2, 3, 4, 5])
  expect(await numbers({ sortBy: 'density', limit: 2, offset: 1 })).toEqual([4, 3])
  const byScore = await extraction.features()
  expect(byScore.map(({ readability }) => readability)).toEqual(
    byScore.map(({ readability }) => readability).sort((a, b) => b - a),
  )
  expect(extraction.info).toMatchObject({
    hookPoint: 'blocks.1.hook_resid_post',
    features: 6,
    featuresAlive: 5,
    tokens: 60,
    split: 'train',
    modelName: 'tiny',
    featuresInHeap: 5,
    heapExamplesCount: 1 + 2 + 3 + 3 + 3,
  })
  extraction.close()
})

test('one feature has its top examples and its quantile examples, each by rank', async () => {
  const extraction = await openExtraction({ dir: await written() })
  const five = await extraction.feature(5)
  expect(five.top.map(({ rank, context }) => [rank, context])).toEqual([
    [0, 10],
    [1, 11],
    [2, 12],
  ])
  for (const [rank, example] of five.quantile.entries())
    expect(example).toMatchObject({ rank, kind: 'quantile' })
  expect(five.top[0].token_texts.join('')).toBe('OPQR')
  for (const wrong of [-1, 6, 1.5, Number.NaN]) {
    await expect(extraction.feature(wrong)).rejects.toThrow(/field: feature; .* expected: 0 to 5/)
  }
  extraction.close()
})

test('features asked for at once do not mix', async () => {
  const extraction = await openExtraction({ dir: await written() })
  const numbers = [5, 1, 3, 2, 4, 1, 5, 3]
  const found = await Promise.all(numbers.map(extraction.feature))
  expect(found.map(({ feature }) => feature)).toEqual(numbers)
  expect(found.map(({ top }) => top[0].feature)).toEqual(numbers)
  extraction.close()
})

test('an extraction moves with its folder, into one with a hostile name as well', async () => {
  const out = await written()
  mkdirSync(folder.path("kind=top'*"))
  const moved = join(folder.path("kind=top'*"), 'x[1]?')
  renameSync(out, moved)
  const extraction = await openExtraction({ dir: moved })
  expect((await extraction.feature(1)).top.length).toBe(1)
  extraction.close()
})

test('what is no extraction is refused with its file and field', async () => {
  await expect(openExtraction({ dir: folder.path('nowhere') })).rejects.toThrow(
    /extraction\.json; found: no such file/,
  )
  const out = await written()
  const file = join(out, 'extraction.json')
  const record = JSON.parse(readFileSync(file, 'utf8'))
  const refuse = async (change: object, message: RegExp) => {
    writeFileSync(file, JSON.stringify({ ...record, ...change }))
    await expect(openExtraction({ dir: out })).rejects.toThrow(message)
  }
  await refuse({ format: 'other' }, /field: format; found: "other"; expected: "mistudio extraction"/)
  await refuse({ format_version: 2 }, /field: format_version; found: 2; expected: 1/)
  await refuse({ features: -1 }, /field: features; found: -1/)
  await refuse({ features: '6' }, /field: features/)
  await refuse({ model: null }, /field: model; found: null/)
  writeFileSync(file, '[]')
  expect(() => readExtractionInfo({ dir: out })).toThrow(/not an object/)
  writeFileSync(file, '{"format":')
  expect(() => readExtractionInfo({ dir: out })).toThrow(/not JSON/)
  writeFileSync(file, JSON.stringify(record))
  writeFileSync(join(out, 'examples.parquet'), 'PAR1 not really')
  await expect(openExtraction({ dir: out })).rejects.toThrow(/cannot be read .* file: .*examples\.parquet/)
  writeFileSync(join(out, 'examples.parquet'), readFileSync(join(out, 'features.parquet')))
  await expect(openExtraction({ dir: out })).rejects.toThrow(
    /expected: Parquet with the columns feature, kind/,
  )
  rmSync(join(out, 'examples.parquet'))
  await expect(openExtraction({ dir: out })).rejects.toThrow(/examples\.parquet; found: no such file/)
})

test('a broken extraction.json is refused or read, never worse', async () => {
  const out = await written()
  const file = join(out, 'extraction.json')
  const whole = readFileSync(file)
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), fc.boolean(), (at, byte, cut) => {
      const broken = Buffer.from(cut ? whole.subarray(0, at) : whole)
      if (!cut) broken[at] = byte
      writeFileSync(file, broken)
      try {
        expect(readExtractionInfo({ dir: out }).features).toBeGreaterThanOrEqual(0)
      } catch (error) {
        expect(error).toHaveProperty('name', 'InputError')
      }
    }),
  )
})

test('the strongest example of each feature is the first of its own list', async () => {
  const extraction = await openExtraction({ dir: await written('strongest') })
  try {
    const strongest = await extraction.strongest()
    expect(strongest.map(({ feature }) => feature)).toEqual([1, 2, 3, 4, 5])
    for (const example of strongest)
      expect(example).toEqual((await extraction.feature(example.feature)).top[0])
  } finally {
    extraction.close()
  }
})

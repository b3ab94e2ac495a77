import { type DuckDBValue, listValue } from '@duckdb/node-api'
import { expect, test } from 'vitest'
import { useFolder } from '../../testing/feature_support.ts'
import { openDuck, quoteText, writeParquet } from './duck.ts'
import { exampleColumns } from './examples.ts'
import { type FeatureExamples, readTopExamples } from './top_examples.ts'

const folder = useFolder()
const tops = (feature: number) => (feature % 3 === 0 ? 0 : 1 + (feature % 7))

function* rows(features: number): Generator<DuckDBValue[]> {
  for (let feature = 0; feature < features; feature++) {
    for (const [kind, count] of [
      ['top', tops(feature)],
      ['quantile', 2],
    ] as const) {
      for (let rank = 0; rank < count; rank++) {
        const text = listValue([`f${feature}`, `r${rank}`])
        const place = ['store', 0, 'file', 0, 0, 5, 4]
        yield [feature, kind, rank, 1, 2.5, ...place, listValue([1, 2]), text, listValue([0, 2.5])]
      }
    }
  }
}

/** @param options.orderBy how the file is sorted */
async function read(options: { features: number; orderBy: string[] }): Promise<FeatureExamples[]> {
  const { features, orderBy } = options
  const path = folder.path('examples.parquet')
  const dictionary = Array.from({ length: features }, (_, i) => `f${i}`).concat(
    Array.from({ length: 10 }, (_, i) => `r${i}`),
  )
  await writeParquet({ path, columns: exampleColumns, orderBy, rows: rows(features), dictionary })
  const duck = await openDuck({ threads: 1 })
  try {
    await duck.connection.run(`CREATE VIEW examples AS SELECT * FROM read_parquet(${quoteText(path)})`)
    return await Array.fromAsync(readTopExamples({ duck, dir: folder.path('') }))
  } finally {
    duck.close()
  }
}

test('every feature comes once, ascending, with all its top examples, over many row groups', async () => {
  const features = 2000
  const found = await read({ features, orderBy: ['feature', 'kind DESC', 'rank'] })
  const expected = Array.from({ length: features }, (_, feature) => feature).filter(f => tops(f) > 0)
  expect(found.map(({ feature }) => feature)).toEqual(expected)
  for (const { feature, examples } of found) {
    expect(examples.map(({ rank }) => rank)).toEqual(Array.from({ length: tops(feature) }, (_, rank) => rank))
    expect(examples[0].token_texts).toEqual([`f${feature}`, 'r0'])
  }
})

test('a file in another order is refused by name', async () => {
  for (const orderBy of [['feature DESC', 'rank'], ['rank DESC'], ['rank', 'feature']]) {
    await expect(read({ features: 10, orderBy })).rejects.toThrow(
      /not in order; file: .*examples\.parquet; field: feature, rank; found: \d+, \d+; expected: /,
    )
  }
})

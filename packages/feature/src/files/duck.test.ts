import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { listValue } from '@duckdb/node-api'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { useFolder } from '../../testing/feature_support.ts'
import { literalPattern, openDuck, quoteText, storedText, writeParquet } from './duck.ts'

const folder = useFolder()
const columns = [
  { name: 'n', type: 'INTEGER' },
  { name: 'texts', type: 'dictionary[]' },
]

async function read(path: string) {
  const { connection, close } = await openDuck()
  const sql = `SELECT * FROM read_parquet(${quoteText(literalPattern(path))}, hive_partitioning = false)`
  const rows = (await connection.runAndReadAll(sql)).getRowObjectsJS()
  close()
  return rows
}

const hostile = [
  "it's",
  "'; DROP TABLE rows; --",
  "a''b",
  'a "quoted" name',
  'star*',
  'what?',
  '[ab]',
  'a[b',
  'b]a',
  'kind=top',
  'new\nline',
  '日本 ünï',
  '$1',
  '{uuid}',
  '%20 #&+',
  'back\\slash',
  '-- comment',
]

test('hostile names are names: written, and read from there and nowhere else', async () => {
  for (const [i, name] of hostile.entries()) {
    mkdirSync(folder.path(name))
    const path = join(folder.path(name), `${name}.parquet`)
    await writeParquet({ path, columns, orderBy: ['n'], rows: [[i, listValue(['x'])]], dictionary: ['x'] })
  }
  for (const [i, name] of hostile.entries()) {
    expect(await read(join(folder.path(name), `${name}.parquet`))).toEqual([{ n: i, texts: ['x'] }])
  }
})

test('a pattern in a name reads no other file', async () => {
  await writeParquet({ path: folder.path('ab'), columns, orderBy: ['n'], rows: [[1, listValue([])]] })
  await expect(read(folder.path('a*'))).rejects.toThrow()
  await expect(read(folder.path('a?'))).rejects.toThrow()
  await expect(read(folder.path('a[b]'))).rejects.toThrow()
})

test('quoteText survives a round trip through SQL for any text', async () => {
  const { connection, close } = await openDuck()
  const text = fc.string({ unit: 'binary', maxLength: 30 }).map(value => value.replaceAll('\0', ''))
  await fc.assert(
    fc.asyncProperty(text, async value => {
      const wellFormed = value.toWellFormed()
      const result = await connection.runAndReadAll(`SELECT ${quoteText(wellFormed)} AS t`)
      expect(result.getRowObjectsJS()).toEqual([{ t: wellFormed }])
    }),
  )
  close()
  expect(() => quoteText('a\0b')).toThrow(/NUL/)
})

test('rows come back sorted, dictionary texts of any kind included', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.constantFrom('', '__proto__', 'constructor', "'", '\0', '\ud800', '␀'),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer(), fc.array(text, { maxLength: 5 })), { maxLength: 30 }),
      async given => {
        const stored = given.map(([, list]) => list.map(storedText))
        const path = folder.path('rows.parquet')
        await writeParquet({
          path,
          columns: [{ name: 'place', type: 'INTEGER' }, ...columns],
          orderBy: ['n DESC', 'place'],
          rows: given.map(([n], i) => [i, n, listValue(stored[i])]),
          dictionary: [...new Set(stored.flat())],
        })
        const expected = given
          .map(([n], place) => ({ place, n, texts: stored[place] }))
          .sort((a, b) => b.n - a.n || a.place - b.place)
        expect(await read(path)).toEqual(expected)
      },
    ),
    { numRuns: 25 },
  )
})

test('more rows than a chunk and a row group hold arrive whole', async () => {
  const path = folder.path('many.parquet')
  const rows = Array.from({ length: 5000 }, (_, i) => [4999 - i, listValue([String(i % 7)])])
  await writeParquet({ path, columns, orderBy: ['n'], rows, dictionary: ['0', '1', '2', '3', '4', '5', '6'] })
  const found = await read(path)
  expect(found.map(({ n }) => n)).toEqual(Array.from({ length: 5000 }, (_, i) => i))
  expect(found[4999].texts).toEqual(['0'])
})

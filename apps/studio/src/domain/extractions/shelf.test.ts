// Extractions that are open for reading: opened once, closed only when nobody reads them.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { writeExtractionFolder } from '../../../testing/artefacts.ts'
import { eventually, temporaryFolder } from '../../../testing/server.ts'
import { createExtractionShelf, type ExtractionShelf } from './shelf.ts'

const folder = temporaryFolder()
const dirOf = (name: string) => join(folder, name)
beforeAll(async () => {
  for (const name of ['a', 'b', 'c']) await writeExtractionFolder({ dir: dirOf(name), sourceFile: 'f' })
})
let shelf: ExtractionShelf
afterEach(() => shelf.close())

const read = (name: string) => shelf.use(dirOf(name), async open => (await open.feature(3)).fired)
/** The open one itself, to see whether the next reader gets the same. */
const taken = (name: string) => shelf.use(dirOf(name), async open => open)

test('one that is open is taken again; the longest unused is closed', async () => {
  shelf = createExtractionShelf({ size: 2 })
  const [a, b] = [await taken('a'), await taken('b')]
  expect(await taken('a')).toBe(a)
  const c = await taken('c')
  expect(await taken('a')).toBe(a)
  expect(await taken('c')).toBe(c)
  expect(await taken('b')).not.toBe(b)
  await expect(b.feature(3)).rejects.toThrow()
})

test('is not closed under a reader, however many others come', async () => {
  shelf = createExtractionShelf({ size: 1 })
  const all = await Promise.all(['a', 'b', 'c', 'a', 'b', 'c'].map(read))
  expect(all).toEqual([3, 3, 3, 3, 3, 3])
  let dropped = false
  await shelf.use(dirOf('a'), async open => {
    const dropping = shelf.drop(dirOf('a')).then(() => {
      dropped = true
    })
    expect((await open.feature(3)).fired).toBe(3)
    expect(dropped).toBe(false)
    void dropping
  })
  await eventually(() => dropped).toBe(true)
})

test('one that could not be opened is tried again', async () => {
  shelf = createExtractionShelf()
  await expect(read('late')).rejects.toThrow(InputError)
  await writeExtractionFolder({ dir: dirOf('late'), sourceFile: 'f' })
  expect(await read('late')).toBe(3)
  await shelf.drop(dirOf('late'))
  rmSync(dirOf('late'), { recursive: true })
  await expect(read('late')).rejects.toThrow(InputError)
})

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inputError, useFolder } from '../testing/file_support.ts'
import { recoverDirectory, replaceFile, writeDirectoryAtomic, writeFileAtomic } from './atomic.ts'

const path = useFolder()
const diskFull = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })

/** A folder's files with their content, by relative path. */
const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(name => statSync(join(folder, name)).isFile())
      .map(name => [name, readFileSync(join(folder, name), 'utf8')]),
  )

const make = (folder: string, files: Record<string, string>) => {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
}

const save = (files: Record<string, string>) =>
  writeDirectoryAtomic({ path: path('run'), write: folder => make(folder, files) })

test('a directory appears whole, with folders in it, and its parents are made', async () => {
  await writeDirectoryAtomic({
    path: path('deep/er/run'),
    write: async folder => {
      make(folder, { 'a.txt': 'a' })
      await Promise.resolve()
      make(join(folder, 'inner'), { 'b.txt': 'b' })
      expect(existsSync(path('deep/er/run'))).toBe(false)
    },
  })
  expect(contents(path('.'))).toEqual({ 'deep/er/run/a.txt': 'a', 'deep/er/run/inner/b.txt': 'b' })
})

test('an earlier directory is replaced whole: none of its files stays', async () => {
  await save({ 'a.txt': 'old', 'b.txt': 'old' })
  await save({ 'a.txt': 'new' })
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'new' })
  expect(readdirSync(path('.'))).toEqual(['run'])
})

test.each([
  ['throws at once', () => {}],
  ['throws after writing some', (folder: string) => make(folder, { 'a.txt': 'half', 'c.txt': 'half' })],
])('a full disk leaves the earlier directory whole, and nothing beside it: write %s', async (_, begin) => {
  await save({ 'a.txt': 'old', 'b.txt': 'old' })
  const write = async (folder: string) => {
    begin(folder)
    await Promise.resolve()
    throw diskFull()
  }
  const { details } = await inputError(() => writeDirectoryAtomic({ path: path('run'), write }))
  expect(details).toMatchObject({ message: 'the disk is full', file: path('run') })
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'old', 'run/b.txt': 'old' })
  expect(readdirSync(path('.'))).toEqual(['run'])
})

test('a full disk names the file that had no room, by its place in the directory that was to be', async () => {
  await save({ 'a.txt': 'old' })
  const write = (folder: string) =>
    replaceFile({
      path: join(folder, 'a.txt'),
      write: temporary => {
        writeFileSync(temporary, 'half')
        throw diskFull()
      },
    })
  const { message } = await inputError(() => writeDirectoryAtomic({ path: path('run'), write }))
  expect(message).toMatch(/^the disk is full; file: .*\/run\/a\.txt; found: ENOSPC/)
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'old' })
})

test('another failure passes through as it is, after clearing up', async () => {
  const error = new Error('no such tensor')
  const write = () => {
    throw error
  }
  await expect(writeDirectoryAtomic({ path: path('run'), write })).rejects.toBe(error)
  expect(readdirSync(path('.'))).toEqual([])
})

test('a full disk on the first save leaves nothing', async () => {
  const write = () => {
    throw diskFull()
  }
  await expect(writeDirectoryAtomic({ path: path('run'), write })).rejects.toThrow('the disk is full')
  expect(readdirSync(path('.'))).toEqual([])
})

test('a crash while writing: the earlier one is read, the half-written one is cleared by the next save', async () => {
  make(path('run'), { 'a.txt': 'old' })
  make(path('.run.next'), { 'a.txt': 'half', 'stale.txt': 'x' })
  recoverDirectory(path('run'))
  expect(contents(path('run'))).toEqual({ 'a.txt': 'old' })
  await save({ 'a.txt': 'new' })
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'new' })
})

test('a crash between the renames: the earlier one is put back', async () => {
  make(path('run'), { 'a.txt': 'old' })
  renameSync(path('run'), path('.run.old'))
  make(path('.run.next'), { 'a.txt': 'new' })
  recoverDirectory(path('run'))
  expect(contents(path('run'))).toEqual({ 'a.txt': 'old' })
  expect(existsSync(path('.run.old'))).toBe(false)
  await save({ 'a.txt': 'newer' })
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'newer' })
})

test('a crash between the renames is mended by the next save as well, even one that fails', async () => {
  make(path('.run.old'), { 'a.txt': 'old' })
  make(path('.run.next'), { 'a.txt': 'new' })
  const write = () => {
    throw diskFull()
  }
  await expect(writeDirectoryAtomic({ path: path('run'), write })).rejects.toThrow('the disk is full')
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'old' })
})

test('a crash after the renames: the new one is kept, the old one cleared', () => {
  make(path('run'), { 'a.txt': 'new' })
  make(path('.run.old'), { 'a.txt': 'old' })
  recoverDirectory(path('run'))
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'new' })
})

test('a crash after the renames does not stand in the way of the next save', async () => {
  make(path('run'), { 'a.txt': 'new' })
  make(path('.run.old'), { 'a.txt': 'old' })
  await save({ 'a.txt': 'newer' })
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'newer' })
})

test('nothing to recover is no error, and changes nothing', () => {
  recoverDirectory(path('run'))
  make(path('run'), { 'a.txt': 'a' })
  recoverDirectory(path('run'))
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'a' })
})

test('a trailing slash names the same directory', async () => {
  await save({ 'a.txt': 'old' })
  await writeDirectoryAtomic({ path: `${path('run')}/`, write: folder => make(folder, { 'a.txt': 'new' }) })
  expect(contents(path('.'))).toEqual({ 'run/a.txt': 'new' })
})

test('a place that cannot be written is bad input, named, and stays as it is', async () => {
  writeFileSync(path('file'), 'a file')
  const inside = path('file/run')
  expect((await inputError(() => writeDirectoryAtomic({ path: inside, write: () => {} }))).details.file).toBe(
    inside,
  )
  expect((await inputError(() => writeFileAtomic(inside, 'x'))).details.file).toBe(inside)
  expect((await inputError(() => writeFileAtomic(path('none/run'), 'x'))).details.found).toBe('ENOENT')
  mkdirSync(path('folder'))
  expect((await inputError(() => writeFileAtomic(path('folder'), 'x'))).details.file).toBe(path('folder'))
  expect(contents(path('.'))).toEqual({ file: 'a file' })
})

test('a file is replaced whole, or stays as it was', () => {
  writeFileAtomic(path('a.txt'), 'old')
  writeFileAtomic(path('a.txt'), new TextEncoder().encode('new'))
  expect(contents(path('.'))).toEqual({ 'a.txt': 'new' })
  const write = (temporary: string) => {
    writeFileSync(temporary, 'half')
    expect(readFileSync(path('a.txt'), 'utf8')).toBe('new')
    throw diskFull()
  }
  const full = /^the disk is full; file: .*a\.txt; found: ENOSPC/
  expect(() => replaceFile({ path: path('a.txt'), write })).toThrow(full)
  expect(contents(path('.'))).toEqual({ 'a.txt': 'new' })
})

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { webSources, webStamp } from './web.js'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mistudio-web-'))
  mkdirSync(join(root, 'apps/web/src/pages'), { recursive: true })
  mkdirSync(join(root, 'packages/contract/src'), { recursive: true })
  for (const path of ['apps/web/index.html', 'apps/web/src/pages/home.tsx', 'packages/contract/src/ids.ts']) {
    writeFileSync(join(root, path), path)
  }
  writeFileSync(join(root, 'package-lock.json'), '{}')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

test.each([
  'apps/web/index.html',
  'apps/web/src/pages/home.tsx',
  'packages/contract/src/ids.ts',
  'package-lock.json',
])('a change of %s builds the bundle again', path => {
  const before = webStamp({ root })
  expect(webStamp({ root })).toBe(before)
  writeFileSync(join(root, path), 'other')
  expect(webStamp({ root })).not.toBe(before)
})

test('a new file counts, a test does not', () => {
  const before = webStamp({ root })
  writeFileSync(join(root, 'apps/web/src/pages/home.test.ts'), '')
  expect(webStamp({ root })).toBe(before)
  writeFileSync(join(root, 'apps/web/src/new.ts'), '')
  expect(webStamp({ root })).not.toBe(before)
  expect(webSources({ root })).toEqual([
    'apps/web/index.html',
    'apps/web/src/new.ts',
    'apps/web/src/pages/home.tsx',
    'package-lock.json',
    'packages/contract/src/ids.ts',
  ])
})

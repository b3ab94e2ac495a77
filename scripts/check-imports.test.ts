// The check of the layout: this tree passes, and each fault it is there for is found when it is planted.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { root } from './bootstrap.js'
import { importProblems, specifiersOf } from './check-imports.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mistudio-imports-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Two rooms, `high` above `low`, that import as they should; `more` plants or replaces files. */
function tree(more: Record<string, string> = {}): string[] {
  const manifest = (name: string, dependencies: Record<string, string>) =>
    JSON.stringify({ name, dependencies })
  const files = {
    'package.json': JSON.stringify({ devDependencies: { vitest: '1' } }),
    'packages/high/package.json': manifest('@mistudio/high', {}),
    'packages/low/package.json': manifest('@mistudio/low', { '@mistudio/high': '1' }),
    'packages/high/src/index.ts': "export * from './a/one.ts'\n",
    'packages/high/src/a/one.ts': "import { two } from '../b/two.ts'\nexport const one = two\n",
    'packages/high/src/b/two.ts': "import { join } from 'node:path'\nexport const two = join('a', 'b')\n",
    'packages/low/src/index.ts': "export { one } from '@mistudio/high'\n",
    'packages/low/src/index.test.ts':
      "import { test } from 'vitest'\nimport './index.ts'\ntest('x', () => {})\n",
    ...more,
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return importProblems({ root: folder, rooms: ['packages/high', 'packages/low'] })
}

it('finds nothing wrong with this tree', () => {
  expect(importProblems({ root })).toEqual([])
})

describe('a planted import', () => {
  it('is not found where there is none', () => {
    expect(tree()).toEqual([])
  })

  it('from a room below', () => {
    const dependencies = { '@mistudio/low': '1' }
    expect(
      tree({
        'packages/high/package.json': JSON.stringify({ name: '@mistudio/high', dependencies }),
        'packages/high/src/b/two.ts': "export type { one as two } from '@mistudio/low'\n",
      }),
    ).toEqual(['packages/high/src/b/two.ts imports @mistudio/low: packages/high stands above packages/low'])
  })

  it('of a package that is not declared, also when it is imported late', () => {
    const text = "export const two = () => import('zod')\n"
    expect(tree({ 'packages/high/src/b/two.ts': text })).toEqual([
      'packages/high/src/b/two.ts imports zod, which packages/high/package.json does not declare',
    ])
  })

  it('of a file of another room', () => {
    const text = "export { one } from '../../high/src/a/one.ts'\n"
    expect(tree({ 'packages/low/src/index.ts': text })).toEqual([
      'packages/low/src/index.ts imports ../../high/src/a/one.ts: a file of another room, not its package',
    ])
  })

  it('that makes two folders a circle, though no two files are one', () => {
    const problems = tree({
      'packages/high/src/b/three.ts': "export { four } from '../a/four.ts'\n",
      'packages/high/src/a/four.ts': 'export const four = 4\n',
    })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(
      /folders in a circle: .*a\/one\.ts imports .*b\/two\.ts; .*b\/three\.ts imports .*a\/four\.ts/,
    )
  })

  it('of test code by other code', () => {
    const text = "export { two } from '../../testing/help.ts'\n"
    const help = { 'packages/high/testing/help.ts': 'export const two = 2\n' }
    expect(tree({ ...help, 'packages/high/src/b/two.ts': text })).toEqual([
      'packages/high/src/b/two.ts imports ../../testing/help.ts, which only tests may use',
    ])
  })

  it('in a comment is none', () => {
    expect(
      specifiersOf("// import { a } from 'b'\n/** @example import { c } from 'd' */\nimport e from 'f'\n"),
    ).toEqual(['f'])
  })
})

it('a circle of two files fails the lint', () => {
  cpSync(join(root, 'biome.json'), join(folder, 'biome.json'))
  writeFileSync(join(folder, 'one.ts'), "import { two } from './two.ts'\n\nexport const one = () => two\n")
  writeFileSync(join(folder, 'two.ts'), "import { one } from './one.ts'\n\nexport const two = () => one\n")
  const lint = () =>
    spawnSync(
      process.execPath,
      [join(root, 'node_modules/@biomejs/biome/bin/biome'), 'lint', '--vcs-enabled=false', '.'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    )
  const { status, stdout, stderr } = lint()
  expect(stdout + stderr).toContain('noImportCycles')
  expect(status).toBe(1)
  writeFileSync(join(folder, 'two.ts'), 'export const two = 2\n')
  expect(lint().status).toBe(0)
})

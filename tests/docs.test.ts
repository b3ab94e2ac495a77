// The documents agree with the code: a requirement that is called done names a test that is there, so does a ticked
// task, no id of the increment is missing, and files and names of the code that are mentioned exist.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

type Row = Record<string, string>
/** @returns undefined for a file that is not there */
type ReadFile = (path: string) => string | undefined

/** Tables whose header begins with these names; a cell holds no `|` but `\|`. */
function tableRows(markdown: string, header: readonly string[]): Row[] {
  const rows: Row[] = []
  let names: string[] | undefined
  for (const line of markdown.split('\n')) {
    if (!line.startsWith('|')) {
      names = undefined
      continue
    }
    const cells = line.slice(1, line.lastIndexOf('|')).split(/(?<!\\)\|/)
    const values = cells.map(cell => cell.trim().replaceAll('\\|', '|'))
    if (names === undefined) names = values
    else if (header.every((name, i) => names![i] === name) && !/^-+$/.test(values[0])) {
      rows.push(Object.fromEntries(names.map((name, i) => [name, values[i] ?? ''])))
    }
  }
  return rows
}

/** Whether the source calls `test` or `it`, not skipped, with this title as a literal. */
function hasTest(source: string, title: string): boolean {
  return [`'`, '"', '`'].some(quote => {
    const literal = `${quote}${title.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`)}${quote}`
    for (let at = source.indexOf(literal); at >= 0; at = source.indexOf(literal, at + 1)) {
      if (!/^\s*,/.test(source.slice(at + literal.length)) || !/\(\s*$/.test(source.slice(0, at))) continue
      const call = [...source.slice(0, at).matchAll(/\b(?:describe|test|it)(?:\.\w+)*(?=[(<])/g)].at(-1)?.[0]
      if (call !== undefined && !/^describe|\.(skip|todo|fails)$/.test(call)) return true
    }
    return false
  })
}

/** What is wrong with a reference, written `` `path`: title ``. */
function faultOfReference(reference: string, read: ReadFile): string | undefined {
  const [, path, title] = /^`([^`]+)`: (.+)$/.exec(reference) ?? []
  if (path === undefined) return `not a path and a title: ${reference}`
  if (!path.endsWith('.test.ts')) return `not a test file: ${path}`
  const source = read(path)
  if (source === undefined) return `there is no file ${path}`
  return hasTest(source, title) ? undefined : `there is no test "${title}" in ${path}`
}

function faultsOfRow(row: Row, read: ReadFile): string[] {
  const references = row.test === '—' ? [] : row.test.split('<br>').map(text => text.trim())
  const faults = references
    .map(reference => faultOfReference(reference, read))
    .filter(fault => fault !== undefined)
  const state = /^(done)$|^(in part|later): \S/.exec(row.state)
  if (state === null) faults.push(`not a state: ${row.state}`)
  else if (state[2] === 'later' && references.length > 0) faults.push('what is later has no test')
  else if (state[2] !== 'later' && references.length === 0) faults.push('it names no test')
  return faults.map(fault => `${row.id}: ${fault}`)
}

const rowsOf = (markdown: string) => tableRows(markdown, ['id', 'requirement', 'state', 'test'])

function faultsOfTasks(markdown: string, read: ReadFile): string[] {
  const tasks: { text: string; ticked: boolean; references: string[] }[] = []
  for (const line of markdown.split('\n')) {
    const task = /^- \[([ x])\] (.+)$/.exec(line)
    const reference = /^ {2}- (.+)$/.exec(line)
    if (task !== null) tasks.push({ text: task[2], ticked: task[1] === 'x', references: [] })
    else if (reference !== null) tasks.at(-1)?.references.push(reference[1])
  }
  return tasks.flatMap(({ text, ticked, references }) => {
    const faults = references
      .map(reference => faultOfReference(reference, read))
      .filter(fault => fault !== undefined)
    if (ticked && references.length === 0) faults.push('it is ticked and names no test')
    return faults.map(fault => `${text}: ${fault}`)
  })
}

/** Tables of names of the code, paths from the root, and links. `folder`: where the document lies. */
function faultsOfMentions(markdown: string, folder: string, read: ReadFile): string[] {
  const faults: string[] = []
  for (const { name, file } of tableRows(markdown, ['name', 'file'])) {
    const [bare, path] = [name, file].map(cell => cell.replaceAll('`', ''))
    if (!new RegExp(`\\b${bare}\\b`).test(read(path) ?? '')) faults.push(`there is no ${bare} in ${path}`)
  }
  const paths = [...markdown.matchAll(/`((?:apps|docs|packages|scripts|tests)\/[\w./-]+)`/g)].map(
    ([, path]) => path,
  )
  const links = [...markdown.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, path]) =>
    join(folder, path),
  )
  for (const path of [...paths, ...links]) if (read(path) === undefined) faults.push(`there is no ${path}`)
  return faults
}

const root = fileURLToPath(new URL('..', import.meta.url))
const readInRoot: ReadFile = path => {
  const full = join(root, path)
  if (!existsSync(full)) return undefined
  return /\.\w+$/.test(path) ? readFileSync(full, 'utf8') : ''
}
const documents = readdirSync(join(root, 'docs'), { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile() && entry.name.endsWith('.md'))
  .map(entry => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
  .map(path => ({ path, markdown: readInRoot(path)! }))

const numbered = (prefix: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${prefix}${from + i}`)
/** Ids of the increment, by the document they belong to. */
const wanted: Record<string, string[]> = {
  'docs/README.md': numbered('FIX-', 1, 6),
  'docs/prd/003-sae-training.md': ['INC-1', 'INC-2', ...numbered('FR-003.', 1, 8)],
  'docs/prd/004-feature-discovery.md': [
    'INC-3',
    ...numbered('INC-', 5, 9),
    ...numbered('FR-1.', 7, 10),
    'FR-6.5',
    'FR-6.6',
    ...numbered('FR-10.', 1, 5),
  ],
  'docs/prd/005-sae-management.md': ['INC-4', ...numbered('FR-005.', 1, 5)],
  'docs/adr/0005-migrations-and-deployment.md': numbered('INC-', 10, 15),
}

describe('the documents', () => {
  test.each(documents)('$path: rows, tasks, files and names hold', ({ path, markdown }) => {
    const faults = [
      ...rowsOf(markdown).flatMap(row => faultsOfRow(row, readInRoot)),
      ...faultsOfTasks(markdown, readInRoot),
      ...faultsOfMentions(markdown, dirname(path), readInRoot),
    ]
    expect(faults).toEqual([])
  })

  test('have every id of the increment in its place, and none twice', () => {
    const found = new Map(documents.map(({ path, markdown }) => [path, rowsOf(markdown).map(({ id }) => id)]))
    for (const [path, ids] of Object.entries(wanted)) {
      expect(found.get(path) ?? [], path).toEqual(expect.arrayContaining(ids))
    }
    const all = [...found.values()].flat()
    expect(all.filter((id, i) => all.indexOf(id) !== i)).toEqual([])
    expect(all).toEqual(expect.arrayContaining(numbered('INC-', 1, 15)))
  })

  test('tasks of feature discovery are there, ticked and not', () => {
    const tasks = readInRoot('docs/tasks/004-feature-discovery.md')!
    for (const head of ['## Live metrics', '## Batch workflow', '## Save as template'])
      expect(tasks).toContain(head)
    expect(tasks).toContain('- [x] ')
    expect(tasks).toContain('- [ ] ')
  })
})

describe('the check', () => {
  const read: ReadFile = path =>
    path === 'a.test.ts'
      ? `describe('a group', () => { test('it\\'s "so"', () => {}); test.skip('left out', () => {})
         test.each<[number]>([[1]])('%s is one', () => {}); expect(f('no test', 1)) })
         const known = 'a word'`
      : undefined
  const faults = (state: string, reference: string) => {
    const line = `| X-1 | a \\| b | ${state} | ${reference} |`
    const rows = rowsOf(`| id | requirement | state | test |\n| --- | --- | --- | --- |\n${line}\n`)
    expect(rows).toEqual([{ id: 'X-1', requirement: 'a | b', state, test: reference }])
    return faultsOfRow(rows[0], read)
  }
  const good = '`a.test.ts`: it\'s "so"'

  test.each([
    ['done', good],
    ['done', `${good}<br>\`a.test.ts\`: %s is one`],
    ['in part: half of it', good],
    ['later: the other half', '—'],
  ])('takes a row that is %s with %s', (state, reference) => {
    expect(faults(state, reference)).toEqual([])
  })

  test.each([
    ['done', '—', 'X-1: it names no test'],
    ['in part: half of it', '—', 'X-1: it names no test'],
    ['later: some day', good, 'X-1: what is later has no test'],
    ['later:', '—', 'X-1: not a state: later:'],
    ['nearly', good, 'X-1: not a state: nearly'],
    ['done', '`b.test.ts`: so', 'X-1: there is no file b.test.ts'],
    ['done', '`a.ts`: so', 'X-1: not a test file: a.ts'],
    ['done', 'by hand', 'X-1: not a path and a title: by hand'],
    ['done', `${good}<br>\`a.test.ts\`: is one`, 'X-1: there is no test "is one" in a.test.ts'],
    ['done', '`a.test.ts`: left out', 'X-1: there is no test "left out" in a.test.ts'],
    ['done', '`a.test.ts`: a group', 'X-1: there is no test "a group" in a.test.ts'],
    ['done', '`a.test.ts`: a word', 'X-1: there is no test "a word" in a.test.ts'],
  ])('refuses a row that is %s with %s', (state, reference, fault) => {
    expect(faults(state, reference)).toEqual([fault])
  })

  test('refuses a ticked task that names no test, or one that is not there', () => {
    const tasks = `- [x] one\n  - ${good}\n- [x] two\n- [ ] three\n- [x] four\n  - \`a.test.ts\`: gone\n`
    expect(faultsOfTasks(tasks, read)).toEqual([
      'two: it is ticked and names no test',
      'four: there is no test "gone" in a.test.ts',
    ])
  })

  test('refuses names, files and links that are not there', () => {
    const names =
      '| name | file | meaning |\n| --- | --- | --- |\n| `known` | `a.test.ts` | |\n| `know` | `a.test.ts` | |'
    const text = `${names}\n\nSee \`tests/gone.ts\`, [here](../a.test.ts), [there](b.md) and [outside](https://x.org).`
    expect(faultsOfMentions(text, 'docs', read)).toEqual([
      'there is no know in a.test.ts',
      'there is no tests/gone.ts',
      'there is no docs/b.md',
    ])
  })
})

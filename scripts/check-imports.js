// The layout of the house, checked: which room may import which, arrows between the folders of a room, and that every
// package declares what it imports. `npm run lint` runs it. Circles between files are Biome's (noImportCycles).
// Plain JavaScript without dependencies, so that any Node can run it.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** The rooms, text flowing down: a room imports from those above it, and never from one below. */
export const rooms = [
  'packages/contract',
  'packages/files',
  'packages/tensor',
  'packages/tokenizer',
  'packages/model',
  'packages/corpus',
  'packages/sae',
  'packages/capture',
  'packages/training',
  'packages/evaluation',
  'packages/feature',
  'apps/studio',
  'apps/web',
  'apps/cli',
]

/** Rooms that see nothing but the vocabulary: what they import is bundled for a browser. */
const onlyContract = ['apps/web']

const skipped = new Set(['node_modules', 'dist', 'fixtures', 'assembly', 'kernels', 'public'])

/** What only tests use: it may reach down, and its packages are devDependencies. */
const isTest = path => /\.test\.tsx?$/.test(path) || /\/testing\//.test(path)

function* sources(root, folder) {
  for (const name of readdirSync(join(root, folder)).sort()) {
    if (skipped.has(name)) continue
    const path = posix.join(folder, name)
    if (statSync(join(root, path)).isDirectory()) yield* sources(root, path)
    else if (/\.tsx?$/.test(name) && !name.endsWith('.d.ts')) yield path
  }
}

/** Specifiers of a module's imports, exports and dynamic imports. Comments are not read as code. */
export function specifiersOf(text) {
  const code = text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '')
  const found = []
  const statement =
    /^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)',?\s*\)/gm
  for (const match of code.matchAll(statement)) found.push(match[1] ?? match[2] ?? match[3])
  return found
}

const packageOf = specifier =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/**
 * Everything that is wrong with the imports of a tree.
 * @param {{ root: string, rooms?: readonly string[] }} options `rooms` relative to the root, the highest first
 * @returns {string[]} one line each
 */
export function importProblems({ root, rooms: order = rooms }) {
  const problems = []
  const names = new Map(
    order.map(room => [JSON.parse(readFileSync(join(root, room, 'package.json'), 'utf8')).name, room]),
  )
  for (const room of order) {
    const {
      name,
      dependencies = {},
      devDependencies = {},
    } = JSON.parse(readFileSync(join(root, room, 'package.json'), 'utf8'))
    const shared = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies ?? {}
    /** Arrows between the folders of this room: from → to → the first import that draws it. */
    const arrows = new Map()
    for (const path of sources(root, room)) {
      for (const specifier of specifiersOf(readFileSync(join(root, path), 'utf8'))) {
        if (specifier.startsWith('node:')) continue
        if (specifier.startsWith('.')) {
          const target = posix.normalize(posix.join(posix.dirname(path), specifier))
          if (isTest(path)) continue
          if (!target.startsWith(`${room}/`)) {
            problems.push(`${path} imports ${specifier}: a file of another room, not its package`)
          } else if (isTest(target)) problems.push(`${path} imports ${specifier}, which only tests may use`)
          else addArrow(arrows, { path, target })
          continue
        }
        const wanted = packageOf(specifier)
        if (wanted === name) problems.push(`${path} imports ${specifier}: itself by its package's name`)
        if (dependencies[wanted] === undefined) {
          const known = isTest(path) && (devDependencies[wanted] ?? shared[wanted]) !== undefined
          if (!known) problems.push(`${path} imports ${wanted}, which ${room}/package.json does not declare`)
        }
        const target = names.get(wanted)
        if (target === undefined || isTest(path)) continue
        if (specifier.includes('/testing/'))
          problems.push(`${path} imports ${specifier}, which only tests may use`)
        if (order.indexOf(target) > order.indexOf(room)) {
          problems.push(`${path} imports ${wanted}: ${room} stands above ${target}`)
        }
        if (onlyContract.includes(room) && target !== 'packages/contract') {
          problems.push(`${path} imports ${wanted}: ${room} sees packages/contract alone`)
        }
      }
    }
    problems.push(...folderCircles(arrows))
  }
  return problems
}

/** An arrow between two folders that lie in one: the import of a file in the first that names a file in the second. */
function addArrow(arrows, { path, target }) {
  const from = path.split('/')
  const to = target.split('/')
  const shared = from.findIndex((part, i) => part !== to[i])
  // A file beside the folders ties them together, as a registry does its entries.
  if (shared >= from.length - 1 || shared >= to.length - 1) return
  const folder = parts => parts.slice(0, shared + 1).join('/')
  const targets = arrows.get(folder(from)) ?? new Map()
  if (!targets.has(folder(to))) targets.set(folder(to), `${path} imports ${target}`)
  arrows.set(folder(from), targets)
}

/** Folders that import each other in a loop, each loop once. */
function folderCircles(arrows) {
  const problems = []
  const done = new Set()
  const visit = (folder, trail) => {
    const at = trail.findIndex(step => step.folder === folder)
    if (at >= 0) {
      problems.push(
        `folders in a circle: ${trail
          .slice(at)
          .map(({ via }) => via)
          .join('; ')}`,
      )
      return
    }
    if (done.has(folder)) return
    for (const [to, via] of arrows.get(folder) ?? []) visit(to, [...trail, { folder, via }])
    done.add(folder)
  }
  for (const folder of arrows.keys()) visit(folder, [])
  return problems
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..')
  const problems = importProblems({ root })
  for (const problem of problems) console.error(problem.split(sep).join('/'))
  console.error(
    problems.length === 0
      ? 'Imports run one way, and every package declares what it imports.'
      : `${problems.length} imports to mend: see the rooms in ${relative(root, fileURLToPath(import.meta.url))}`,
  )
  process.exitCode = problems.length === 0 ? 0 : 1
}

// Which test files can see a file: the static imports of the repository, turned round. A file that is named in
// `new URL(…, import.meta.url)` counts as imported, as workers, runners and the kernels are.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const kernels = 'packages/tensor/kernels/kernels.wasm'
/** It compares the committed kernels with their sources, and so would kill every mutant of them. */
const blind = new Set(['packages/tensor/src/kernels_build.test.ts'])

/** @returns for each file the files that import it; paths relative to `root` */
export function importersOf(root: string): Map<string, Set<string>> {
  const files = globSync('{packages,apps}/*/{src,testing,test_server,assembly}/**/*.{ts,tsx}', { cwd: root })
  const importers = new Map<string, Set<string>>()
  const pattern = /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'|new URL\(\s*'([^']+)'\s*,\s*import\.meta\.url/g
  for (const file of files) {
    for (const [, name, url] of readFileSync(join(root, file), 'utf8').matchAll(pattern)) {
      const target = resolve(root, file, name ?? url)
      if (target === undefined) continue
      if (!importers.has(target)) importers.set(target, new Set())
      importers.get(target)!.add(file)
    }
  }
  return importers
}

function resolve(root: string, from: string, name: string): string | undefined {
  const [scope, room, ...rest] = name.split('/')
  if (scope === '@mistudio') {
    const folder = ['packages', 'apps'].map(kind => join(kind, room)).find(at => existsSync(join(root, at)))
    if (folder === undefined) return undefined
    return join(folder, rest.length === 0 ? 'src/index.ts' : rest.join('/'))
  }
  if (!name.startsWith('.')) return undefined
  const path = relative(root, join(root, dirname(from), name))
  return existsSync(join(root, path)) ? path : `${path}.ts`
}

/** The kernels that a file of theirs takes part in: those it exports, or that a file which imports it does. */
function kernelsOf(root: string, file: string, importers: Map<string, Set<string>>): string[] {
  const files = new Set([file])
  for (const at of files) for (const importer of importers.get(at) ?? []) files.add(importer)
  return [...files].flatMap(one =>
    [...readFileSync(join(root, one), 'utf8').matchAll(/^export function (\w+)/gm)].map(([, name]) => name),
  )
}

/** Test files that can see `file`, the nearest first: those of its own name, then by the number of imports between. */
export function testsOf(options: {
  root: string
  importers: Map<string, Set<string>>
  file: string
}): string[] {
  const { root, importers, file } = options
  const start = file.includes('/assembly/') ? kernels : file
  const distance = new Map([[start, 0]])
  const queue = [start]
  for (const at of queue) {
    for (const importer of importers.get(at) ?? []) {
      if (distance.has(importer)) continue
      distance.set(importer, distance.get(at)! + 1)
      queue.push(importer)
    }
  }
  const stem = (path: string) => path.replace(/^.*\//, '').replace(/(\.test)?\.tsx?$/, '')
  const room = (path: string) => path.split('/').slice(0, 2).join('/')
  const own = stem(file)
  // Tests are named after a file, or after a folder of files that only work together.
  const folders = dirname(file).split('/').slice(3)
  const isKernel = file.includes('/assembly/')
  const used = isKernel ? kernelsOf(root, file, importers) : []
  const calls = (test: string) => {
    const text = isKernel ? readFileSync(join(root, test), 'utf8') : ''
    return used.some(name => new RegExp(`\\b${name}\\b`).test(text))
  }
  const rank = (test: string) => {
    const named = stem(test) === own || (isKernel && (stem(test) === `kernels_${own}` || calls(test)))
    const related = [own, ...folders].some(name => stem(test).includes(name))
    return (
      distance.get(test)! +
      (room(test) === room(file) ? 0 : 10) +
      (dirname(test) === dirname(file) ? 0 : 1) -
      (named ? 100 : related ? 50 : 0)
    )
  }
  const seeing = [...distance.keys()].filter(path => path.endsWith('.test.ts') && !blind.has(path))
  // Applications see nearly all, and their tests are slow: they judge a package only where nothing else does.
  const near = seeing.filter(path => path.startsWith(file.slice(0, file.indexOf('/') + 1)))
  return (near.length > 0 ? near : seeing).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
}

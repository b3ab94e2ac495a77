// A copy of the tree to try things in. Packages are links to the installed ones, except for ours, which are links into the
// copy; so whatever runs in the copy runs the copy's sources.
import {
  constants,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** What git does not keep, or what no program reads; at any depth. In a work tree .git is a file. */
const skipped = new Set(['node_modules', '.git', '.cache', '.venv', 'dist', 'data', 'screenshots'])

/** Paths of a tree's files, relative to it, with forward slashes. */
export function filesOf(tree: string, folder = ''): string[] {
  return readdirSync(join(tree, folder), { withFileTypes: true }).flatMap(entry => {
    if (skipped.has(entry.name)) return []
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return filesOf(tree, path)
    return entry.isFile() && !entry.name.endsWith('.log') ? [path] : []
  })
}

export function copyTree(to: string): void {
  for (const path of filesOf(root)) {
    mkdirSync(join(to, dirname(path)), { recursive: true })
    copyFileSync(join(root, path), join(to, path), constants.COPYFILE_FICLONE)
  }
  const modules = join(root, 'node_modules')
  const linked = join(to, 'node_modules')
  const ours = '@mistudio'
  mkdirSync(join(linked, ours), { recursive: true })
  for (const name of readdirSync(modules)) {
    if (name !== ours) symlinkSync(realpathSync(join(modules, name)), join(linked, name))
  }
  for (const name of readdirSync(join(modules, ours))) {
    const place = relative(realpathSync(root), realpathSync(join(modules, ours, name)))
    symlinkSync(join(to, place), join(linked, ours, name))
  }
}

export type Snapshot = ReadonlyMap<string, Buffer>

/** A tree's files as they are now. */
export const snapshotOf = (tree: string): Snapshot =>
  new Map(filesOf(tree).map(path => [path, readFileSync(join(tree, path))]))

export type Difference = { added: string[]; removed: string[]; changed: Record<string, string[]> }

/** What has become of a tree: files, and of changed files the lines. */
export function differences(before: Snapshot, after: Snapshot): Difference {
  const changed: Record<string, string[]> = {}
  for (const [path, now] of after) {
    const old = before.get(path)
    if (old !== undefined && !old.equals(now)) changed[path] = changedLines(String(old), String(now))
  }
  return {
    added: [...after.keys()].filter(path => !before.has(path)).sort(),
    removed: [...before.keys()].filter(path => !after.has(path)).sort(),
    changed,
  }
}

/** Lines between what two texts have in common at their beginning and their end, as a diff writes them. */
function changedLines(old: string, now: string): string[] {
  const [a, b] = [old.split('\n'), now.split('\n')]
  let from = 0
  while (from < a.length && a[from] === b[from]) from++
  let tail = 0
  while (tail < Math.min(a.length, b.length) - from && a.at(-1 - tail) === b.at(-1 - tail)) tail++
  return [
    ...a.slice(from, a.length - tail).map(line => `-${line}`),
    ...b.slice(from, b.length - tail).map(line => `+${line}`),
  ]
}

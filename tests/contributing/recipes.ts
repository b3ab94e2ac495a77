// The recipes of CONTRIBUTING.md as data: under a heading, the file to add and the line to add to another, each a fenced
// block under its path.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export type Recipe = {
  /** The heading. */
  name: string
  file: { path: string; text: string }
  /** `line` goes below `after`, which is there once. */
  change: { path: string; after: string; line: string }
}

/** @throws Error for a recipe that asks for anything but one file and one line */
export function readRecipes(markdown: string): Recipe[] {
  return markdown
    .split(/^### /m)
    .slice(1)
    .map(section => {
      const name = section.slice(0, section.indexOf('\n'))
      const blocks = [...section.matchAll(/^`([^`\n]+)`:\n```(\w+)\n([\s\S]*?)^```$/gm)]
      const files = blocks.filter(([, , language]) => language !== 'diff')
      const changes = blocks.filter(([, , language]) => language === 'diff')
      const fences = section.match(/^```/gm)?.length ?? 0
      if (files.length !== 1 || changes.length !== 1 || fences !== 4)
        throw new Error(`${name}: a recipe is one file and one change, each under its path`)
      const [[, path, , text]] = files
      const [[, changed, , diff]] = changes
      const lines = /^ (.+)\n\+(.+)\n$/.exec(diff)
      if (lines === null) throw new Error(`${name}: the change is one line, below one that is there`)
      return { name, file: { path, text }, change: { path: changed, after: lines[1], line: lines[2] } }
    })
}

/** Does what the recipe says in the tree at `root`. @throws Error where the file exists or the place is not found once */
export function follow({ name, file, change }: Recipe, root: string): void {
  const path = join(root, file.path)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, file.text, { flag: 'wx' })
  const target = join(root, change.path)
  const lines = readFileSync(target, 'utf8').split('\n')
  const at = lines.indexOf(change.after)
  if (at < 0 || lines.lastIndexOf(change.after) !== at)
    throw new Error(`${name}: not once in ${change.path}: ${change.after}`)
  lines.splice(at + 1, 0, change.line)
  writeFileSync(target, lines.join('\n'))
}

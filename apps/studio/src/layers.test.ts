// The order of the rooms of the server: imports point up this list only. What a room needs from one below it is handed
// to it: the domain asks a JobControl, which the job host is; the sockets are told what a snapshot is.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const order = [
  /** Errors for callers, ids, the data folder. */
  ['problem.ts', 'problem_of.ts', 'ids.ts', 'storage.ts'],
  /** Tables, transactions, the lock of the data folder. */
  ['db/'],
  /** The log, and who listens to it. */
  ['events/'],
  /** What crosses the pipe to a job's process, and what runs there. */
  ['runners/'],
  /** What decides: what may be made, changed and removed, and what is shown of it. */
  ['domain/'],
  /** The host of the jobs that the domain queues. */
  ['jobs/'],
  /** HTTP: parses, calls the domain, answers. */
  ['routes/'],
  /** What puts all of it together. */
  ['server.ts', 'security.ts', 'web_files.ts', 'demo.ts', 'studio.ts', 'index.ts'],
]

const root = fileURLToPath(new URL('.', import.meta.url))
const isTest = (path: string) => /\.test\.ts$|(^|\/)test_/.test(path)
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map(path => path.split(sep).join('/'))
  .filter(path => path.endsWith('.ts') && !isTest(path))

const roomOf = (path: string) => order.findIndex(places => places.some(place => path.startsWith(place)))

const importsOf = (path: string) =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, target]) =>
    relative(root, join(root, dirname(path), target))
      .split(sep)
      .join('/'),
  )

test('every file has its room', () => {
  expect(files.length).toBeGreaterThan(50)
  expect(files.filter(path => roomOf(path) < 0)).toEqual([])
})

test('no import points back', () => {
  const back = files.flatMap(path =>
    importsOf(path)
      .filter(target => roomOf(target) > roomOf(path))
      .map(target => `${path} imports ${target}`),
  )
  expect(back).toEqual([])
})

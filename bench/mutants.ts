// Do the tests notice faults? Draws mutants (bench/mutants/draw.ts) of each room by seed, and runs the tests that can see the
// changed file, nearest first, in a copy of the tree. What is decided of survivors lies in bench/mutants/equivalent.json.
//   node bench/mutants.ts [--seed 1] [--rooms kernels,training] [--per-room 40] [--minutes 90] [--workers 2]
//     [--test-seconds 40]  what the tests of one mutant may take, unmutated
//     [--out FILE]         results so far; a run goes on where it was
//     [--again]            draws nothing new, but runs the survivors that are not equivalent once more
//     [--report]           writes docs/mutation.md
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Mutant, mutantsOf, shuffled } from './mutants/draw.ts'
import { importersOf, testsOf } from './mutants/import_graph.ts'
import { tableOf, writeReport } from './mutants/report.ts'
import {
  addResult,
  describeMutant,
  forget,
  isEquivalent,
  type Result,
  readResults,
  readVerdicts,
} from './mutants/results.ts'
import { filesOf, rooms } from './mutants/rooms.ts'
import { openWorkbench, type Workbench } from './mutants/workbench.ts'
import { machine } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    rooms: { type: 'string', default: Object.keys(rooms).join(',') },
    'per-room': { type: 'string', default: '40' },
    minutes: { type: 'string', default: '90' },
    workers: { type: 'string', default: '2' },
    'test-seconds': { type: 'string', default: '40' },
    out: { type: 'string' },
    again: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
  },
})
const root = fileURLToPath(new URL('..', import.meta.url))
const seed = Number(values.seed)
const out = values.out ?? join(tmpdir(), `mistudio-mutants-${seed}.jsonl`)
const deadline = Date.now() + 60_000 * Number(values.minutes)
const verdicts = readVerdicts()
const results = readResults(out)
const importers = importersOf(root)
/** Seconds of a test file without a mutant; undefined where it fails so. */
const timings = `${out}.timings`
const baselines = new Map<string, Promise<number | undefined>>()
if (existsSync(timings)) {
  for (const line of readFileSync(timings, 'utf8').split('\n').filter(Boolean)) {
    const [test, seconds] = JSON.parse(line) as [string, number | null]
    if (seconds !== null) baselines.set(test, Promise.resolve(seconds))
  }
}

const asked = values.rooms.split(',')
if (values.again) {
  forget(
    out,
    results,
    one => asked.includes(one.room) && one.outcome === 'survived' && !isEquivalent(verdicts, one),
  )
}

type Task = { room: string; mutant: Mutant }
const tasks = values.rooms
  .split(',')
  .map(room => ({ room, left: Number(values['per-room']), drawn: draw(room) }))

function draw(room: string): Mutant[] {
  if (rooms[room] === undefined) throw new Error(`no room ${room}: ${Object.keys(rooms).join(', ')}`)
  const all = filesOf({ root, room }).flatMap(file =>
    testsOf({ root, importers, file }).length === 0
      ? []
      : mutantsOf({ file, text: readFileSync(join(root, file), 'utf8') }),
  )
  const places = new Set<string>()
  // One change a place.
  return shuffled(all, seed).filter(({ file, start, end }) => {
    const place = `${file} ${start} ${end}`
    return places.has(place) ? false : places.add(place)
  })
}

/** The next mutant that has no result, room by room; workers begin with different rooms. */
function next(worker: number): Task | undefined {
  const from = Math.floor((worker * tasks.length) / Number(values.workers))
  for (const one of [...tasks.slice(from), ...tasks.slice(0, from)]) {
    while (one.left > 0 && one.drawn.length > 0) {
      const mutant = one.drawn.shift()!
      one.left--
      if (!results.has(describeMutant(root, mutant).key)) return { room: one.room, mutant }
    }
  }
  return undefined
}

function baselineOf(bench: Workbench, test: string): Promise<number | undefined> {
  const known = baselines.get(test)
  if (known !== undefined) return known
  const measured = bench.test({ files: [test], limitSeconds: 120 }).then(({ passed, seconds }) => {
    if (!passed) console.log(`${test} fails without a mutant, and is left out`)
    appendFileSync(timings, `${JSON.stringify([test, passed ? seconds : null])}\n`)
    return passed ? seconds : undefined
  })
  baselines.set(test, measured)
  return measured
}

async function judge(bench: Workbench, { room, mutant }: Task): Promise<void> {
  // Baselines first: they need the unchanged tree.
  const chosen: { test: string; seconds: number }[] = []
  let total = 0
  // All kernels lie in one file, which many tests see; their own are quick.
  const given = Number(values['test-seconds'])
  const [most, budget] = room === 'kernels' ? [14, 4 * given] : [5, given]
  for (const test of testsOf({ root, importers, file: mutant.file }).slice(0, most)) {
    if (chosen.length > 0 && total > 0.6 * budget) break
    const seconds = await baselineOf(bench, test)
    if (seconds === undefined || (chosen.length > 0 && total + seconds > budget)) continue
    chosen.push({ test, seconds })
    total += seconds
  }
  const began = performance.now()
  const finish = (outcome: Result['outcome'], by: string) => {
    const place = describeMutant(root, mutant)
    const seconds = Math.round((performance.now() - began) / 1000)
    const result: Result = { room, ...mutant, ...place, outcome, by, seconds }
    results.set(result.key, result)
    addResult(out, result)
    console.log(
      `${outcome}, ${seconds} s, ${room}, ${mutant.file}:${place.line}: ${place.before} → ${place.after}; ${by}`,
    )
  }
  try {
    if (!(await bench.apply(mutant))) {
      const one = tasks.find(task => task.room === room)!
      one.left++
      return
    }
    for (const group of [chosen.slice(0, 1), chosen.slice(1, 3), chosen.slice(3)]) {
      if (group.length === 0) continue
      const limitSeconds = 15 + 3 * group.reduce((sum, { seconds }) => sum + seconds, 0)
      const { passed, late, output } = await bench.test({
        files: group.map(({ test }) => test),
        limitSeconds,
      })
      if (late) return finish('timed out', group.map(({ test }) => test).join(', '))
      if (!passed) return finish('killed', /FAIL\s+(.*)/.exec(output)?.[1] ?? 'the run ended')
    }
    finish('survived', chosen.map(({ test }) => test).join(', '))
  } finally {
    bench.restore(mutant)
  }
}

async function work(worker: number): Promise<void> {
  const bench = openWorkbench(root)
  try {
    for (let task = next(worker); task !== undefined && Date.now() < deadline; task = next(worker)) {
      await judge(bench, task)
    }
  } finally {
    bench.close()
  }
}

setPriority(10)
await Promise.all(Array.from({ length: Number(values.workers) }, (_, worker) => work(worker)))
const order = Object.keys(rooms)
const all = [...results.values()].filter(({ room }) => order.includes(room))
all.sort(
  (a, b) =>
    order.indexOf(a.room) - order.indexOf(b.room) ||
    (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line),
)
console.log(tableOf(all, verdicts))
if (values.report) {
  const date = new Date().toISOString().slice(0, 10)
  const heading = `Seed ${seed}, ${date}, ${await machine()}`
  writeReport({ path: join(root, 'docs/mutation.md'), heading, results: all, verdicts })
}

// CONTRIBUTING.md, followed to the letter: every recipe is carried out in a copy of the tree, must be one file and one line,
// and what comes of it is used as a person would use it.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { type Client, createClient } from '@mistudio/contract'
import { openSafetensors } from '@mistudio/files'
import { inferSae } from '@mistudio/sae'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importProblems } from '../scripts/check-imports.js'
import { findChromium, openBrowser } from './browser.ts'
import { follow, readRecipes } from './contributing/recipes.ts'
import { toySae, writeToyModel, writeToySae, writeToyText } from './contributing/toys.ts'
import { copyTree, differences, type Snapshot, snapshotOf } from './contributing/tree_copy.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
/** On a busy machine; some 30 s in all on two free cores. */
const patient = 300_000
const recipes = readRecipes(readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'mistudio-contributing-'))
const at = (...names: string[]) => join(folder, ...names)
const tree = at('tree')
const run = promisify(execFile)
const env = { ...process.env, MISTUDIO_CACHE_DIR: at('cache'), DATABASE_URL: '', NODE_ENV: 'production' }

/** Node in the copy; what goes wrong says what was printed. */
const node = (...words: string[]) => run(process.execPath, words, { cwd: tree, env })

/** The one JSON object of a command that must work. */
async function mistudio(...words: string[]) {
  const { stdout } = await node(join(tree, 'apps/cli/src/main.ts'), ...words, '--json')
  return JSON.parse(stdout)
}

let before: Snapshot
/** What the type check says. */
let types: Promise<string>
let studio: ChildProcess
let client: Client
let url: string

beforeAll(async () => {
  copyTree(tree)
  before = snapshotOf(tree)
  for (const recipe of recipes) follow(recipe, tree)
  await writeToyModel(at('model'))
  writeToyText(at('words.toy'))
  await writeToySae(at('sae'))
  types = node('node_modules/typescript/bin/tsc', '--noEmit').then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  )
})
afterAll(() => {
  studio?.disconnect()
  rmSync(folder, { recursive: true, force: true })
})

test('each recipe is one new file and one new line', () => {
  expect(recipes.map(({ name }) => name)).toEqual([
    'Add an architecture',
    'Add an SAE format',
    'Add a text source',
    'Add a family',
    'Add a page',
    'Add a job kind',
  ])
  expect(differences(before, snapshotOf(tree))).toEqual({
    added: recipes.map(({ file }) => file.path).sort(),
    removed: [],
    changed: Object.fromEntries(recipes.map(({ change }) => [change.path, [`+${change.line}`]])),
  })
  expect(new Set(recipes.map(({ change }) => change.path)).size).toBe(recipes.length)
})

test('a recipe of two files, of two lines, or for a place that is not there, is refused', () => {
  const recipe = (file: string, diff: string) =>
    `### A\n\n\`a.ts\`:\n\`\`\`ts\n${file}\`\`\`\n\n\`b.ts\`:\n\`\`\`diff\n${diff}\`\`\`\n`
  const good = recipe('a\n', ' b\n+c\n')
  expect(readRecipes(good)).toEqual([
    { name: 'A', file: { path: 'a.ts', text: 'a\n' }, change: { path: 'b.ts', after: 'b', line: 'c' } },
  ])
  expect(() => readRecipes(`${good}\n\`d.ts\`:\n\`\`\`ts\n\`\`\`\n`)).toThrow('one file')
  expect(() => readRecipes(recipe('a\n', ' b\n+c\n+d\n'))).toThrow('one line')
  expect(() => readRecipes(recipe('a\n', '-b\n+c\n'))).toThrow('one line')
  const place = at('place')
  mkdirSync(place)
  writeFileSync(join(place, 'b.ts'), 'b\nb\n')
  expect(() => follow(readRecipes(good)[0], place)).toThrow('not once in b.ts: b')
})

test('what was added is laid out and imports as the house wants it', async () => {
  const written = recipes.flatMap(({ file, change }) => [file.path, change.path])
  await node('node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', ...written)
  expect(importProblems({ root: tree })).toEqual([])
})

describe('an architecture', () => {
  test('runs, and the graph agrees with the float64 oracle', async () => {
    const ids = [
      [5, 7, 1000, 8000],
      [1, 2, 3, 4],
    ]
    writeFileSync(at('ids.json'), JSON.stringify({ input_ids: ids }))
    const given = ['--model', at('model'), '--input-ids', at('ids.json'), '--capture', 'all']
    const [fast, exact] = await Promise.all(
      ['cpu', 'oracle'].map(async runtime => {
        const out = at(`${runtime}.safetensors`)
        await mistudio('model', 'run', ...given, '--out', out, '--runtime', runtime)
        const file = openSafetensors(out)
        const tensors = Object.fromEntries([...file.tensors.keys()].map(name => [name, file.readF32(name)]))
        file.close()
        return tensors
      }),
    )
    expect(Object.keys(fast).sort()).toEqual(
      [
        ...[0, 1].flatMap(layer =>
          ['attn_out', 'resid_post', 'resid_pre'].map(hook => `blocks.${layer}.hook_${hook}`),
        ),
        'ln_final.hook_normalized',
        'logits',
      ].sort(),
    )
    for (const [name, values] of Object.entries(exact)) {
      const largest = Math.max(...values.map(Math.abs))
      expect(largest, name).toBeGreaterThan(0)
      const apart = Math.max(...values.map((value, i) => Math.abs(value - fast[name][i])))
      expect(apart / largest, name).toBeLessThan(1e-4)
    }
  })
})

describe('a text source, an architecture and a family', () => {
  const hook = 'blocks.1.hook_resid_post'
  const train = (out: string, ...more: string[]) =>
    mistudio(
      ...['sae', 'train', '--model', at('model'), '--dataset', at('store'), '--hook', hook, '--d-sae', '32'],
      ...['--train-tokens', '1024', '--batch-size', '256', '--out', at(out), ...more],
    )

  test('text is tokenized for the model', async () => {
    const store = await mistudio(
      ...['dataset', 'tokenize', '--model', at('model'), '--text', at('words.toy')],
      ...['--context', '32', '--out', at('store')],
    )
    const { train, held_out: heldOut } = store.splits
    expect(train.documents + heldOut.documents).toBe(200)
  })

  test('SAEs train on the model', async () => {
    const trained = await train('topk', '--family', 'topk', '--k', '4')
    expect(trained).toMatchObject({ status: 'completed', saes: [{ hook_point: hook }] })
  })

  test('SAEs of the family train, with its setting', async () => {
    const trained = await train('toy', '--family', 'toy', '--set', 'strength=0.25')
    expect(trained).toMatchObject({ status: 'completed', saes: [{ hook_point: hook }] })
    const { metadata } = JSON.parse(readFileSync(at('toy', hook, 'cfg.json'), 'utf8'))
    expect(metadata).toMatchObject({ mistudio_family: 'toy', mistudio_training: { strength: 0.25 } })
  })
})

describe('an SAE format', () => {
  test('sae encode reads it', async () => {
    const { sae, x } = toySae()
    await mistudio(
      ...['sae', 'encode', '--sae', at('sae'), '--activations', at('sae', 'x.safetensors')],
      ...['--out', at('encoded.safetensors')],
    )
    const { featureActs, reconstruction } = inferSae({ sae, x })
    const encoded = openSafetensors(at('encoded.safetensors'))
    for (const [name, exact] of Object.entries({ feature_acts: featureActs, reconstruction })) {
      const found = encoded.readF32(name)
      expect(found.length).toBe(exact.length)
      exact.forEach((value, i) => void expect(found[i], name).toBeCloseTo(value, 3))
      expect(exact.some(value => value !== 0)).toBe(true)
    }
    encoded.close()
  })
})

describe('in the studio', () => {
  beforeAll(async () => {
    await node('node_modules/vite/bin/vite.js', 'build', 'apps/web', '--logLevel', 'warn')
    studio = spawn(process.execPath, [join(tree, 'tests/contributing/studio_program.ts'), at('data')], {
      env,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    url = await new Promise<string>((resolve, reject) => {
      studio.once('message', resolve)
      studio.once('exit', code => reject(new Error(`the studio ended with code ${code}`)))
    })
    client = createClient({ baseUrl: url })
    await client.createModel({ body: { path: 'demo:model', name: 'A demo' } })
  }, patient)

  test('the text source and the SAE format are offered, the family too', async () => {
    const { texts, saes } = await client.listFormats()
    expect(texts.map(({ name }) => name)).toEqual(['jsonl', 'txt', 'toy'])
    expect(saes.map(({ name }) => name)).toEqual(['saelens', 'toy'])
    const { data: families } = await client.listFamilies()
    expect(families.at(-1)).toMatchObject({ name: 'toy', title: 'Toy' })
  })

  test('an SAE of the format is imported', async () => {
    const { data: models } = await client.listModels()
    const body = { path: at('sae'), model_id: models[0].id }
    const { imported } = await client.importSaes({ body })
    expect(imported).toMatchObject([
      { architecture: 'toy', d_sae: 8, hook_point: 'blocks.0.hook_resid_post' },
    ])
    const copied = readdirSync(at('data', 'saes', imported[0].id)).sort()
    expect(copied).toEqual(['toy.json', 'weights.safetensors'])
  })

  test('a text of the source is uploaded, and a job of the kind measures it', async () => {
    const file = new Blob([readFileSync(at('words.toy'))])
    const dataset = await client.uploadDataset({ file, fileName: 'words.toy' })
    expect(dataset).toMatchObject({ status: 'ready', documents: 200 })

    studio.send({ kind: 'toy', entity: `dataset/${dataset.id}`, title: 'Toy words' })
    const jobs = async () => (await client.listJobs()).data.map(({ kind, status }) => `${kind} ${status}`)
    await expect.poll(jobs, { timeout: 60_000 }).toEqual(['toy completed'])
    const result = readFileSync(at('data', 'toys', dataset.id, 'attempt-1', 'toy.json'), 'utf8')
    expect(JSON.parse(result)).toEqual({ bytes: file.size })
  })

  test('what does the work of the kind loads no database', async () => {
    const kind = recipes.find(({ name }) => name === 'Add a job kind')!
    const program = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
      await import(process.argv[1])
      console.log(JSON.stringify(loaded))`
    const path = join(tree, kind.file.path)
    const { stdout } = await node('--input-type=module', '-e', program, pathToFileURL(path).href)
    const loaded: string[] = JSON.parse(stdout)
    expect(loaded.filter(url => url.endsWith('/jobs/kinds/toy.ts'))).toHaveLength(1)
    expect(loaded.filter(url => /\/src\/db\/|drizzle|pglite|\/pg\//.test(url))).toEqual([])
  })

  const chromium = findChromium()
  test.skipIf(chromium === undefined)('the page is visited (needs a browser: Chromium)', async () => {
    const browser = await openBrowser(chromium!)
    try {
      const page = await browser.newPage()
      await page.goto(url)
      await page.getByRole('navigation').getByRole('link', { name: 'Toy' }).first().click()
      await page.getByRole('heading', { name: 'Toy' }).waitFor()
      expect(new URL(page.url()).pathname).toBe('/toy')
      await page.getByRole('table', { name: 'Toy' }).getByText('A demo').waitFor()
    } finally {
      await browser.close()
    }
  })
})

test(
  'all of it passes the type check',
  async () => {
    expect(await types).toBe('')
  },
  patient,
)

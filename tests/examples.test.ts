// The examples in docstrings compile, and what a caller would start from has one. Each is checked as the body of a
// function with the packages' exports in scope, and with a few things given that other examples open.
import { execFile } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const packages = join(root, 'packages')

/** What examples take as given. */
const given = `import type { ContextSource, LiveCapture } from '@mistudio/capture'
import type { LanguageModel } from '@mistudio/model'
import type { SaeFile } from '@mistudio/sae'
import type { Place, WorkerPool } from '@mistudio/tensor'
declare const pool: WorkerPool
declare const model: LanguageModel
declare const capture: LiveCapture
declare const source: ContextSource
declare const sae: SaeFile
declare const place: Place
`

type Example = { of: string; text: string }

/** Of exported functions whose doc comment has an \`@example\`, which goes to the comment's end or the next tag. */
function examplesIn(source: string): Example[] {
  const documented = /\/\*\*\n((?: \*.*\n)+?) \*\/\nexport (?:async )?(?:function\*?|const) (\w+)/g
  return [...source.matchAll(documented)].flatMap(([, comment, of]) => {
    const lines = comment
      .trimEnd()
      .split('\n')
      .map(line => line.replace(/^ \* ?/, ''))
    const from = lines.indexOf('@example') + 1
    if (from === 0) return []
    const length = lines.slice(from).findIndex(line => line.startsWith('@'))
    return [{ of, text: lines.slice(from, length < 0 ? undefined : from + length).join('\n') }]
  })
}

function allExamples(): Example[] {
  const files = readdirSync(packages, { recursive: true, encoding: 'utf8' })
  return files
    .filter(path => /[/\\]src[/\\].*(?<!\.test)\.ts$/.test(path))
    .flatMap(path => examplesIn(readFileSync(join(packages, path), 'utf8')))
}

/** Imports of every name of the packages that the text mentions. */
async function importsFor(text: string): Promise<string> {
  const lines = await Promise.all(
    readdirSync(packages).map(async name => {
      const names = Object.keys(await import(`@mistudio/${name}`))
      const used = names.filter(
        exported => !given.includes(`const ${exported}:`) && new RegExp(`\\b${exported}\\b`).test(text),
      )
      return used.length === 0 ? '' : `import { ${used.join(', ')} } from '@mistudio/${name}'\n`
    }),
  )
  return lines.join('')
}

const examples = allExamples()

test('what a caller would start from has an example', () => {
  expect(examples.map(({ of }) => of)).toEqual(
    expect.arrayContaining(
      [
        [
          'openSafetensors',
          'writeSafetensors',
          'openWorkerPool',
          'withWorkerPool',
          'openTokenizer',
          'openModel',
        ],
        [
          'compileForward',
          'generate',
          'readText',
          'tokenizeFiles',
          'openTokenStore',
          'loadSae',
          'createEncoder',
        ],
        ['openCapture', 'trainSaes', 'runSynthetic', 'evaluateSaes', 'extractFeatures', 'openExtraction'],
        ['createClient'],
      ].flat(),
    ),
  )
})

test('examples compile', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mistudio-examples-'))
  try {
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    mkdirSync(join(folder, 'examples'))
    for (const { of, text } of examples) {
      const body = `export async function example() {\n${text}\n}\n`
      writeFileSync(join(folder, 'examples', `${of}.ts`), `${await importsFor(text)}${given}${body}`)
    }
    const compilerOptions = { noUnusedLocals: false, typeRoots: ['./node_modules/@types'] }
    const config = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions,
      include: ['examples', join(packages, '*/src/**/*.d.ts')],
    }
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const told = await promisify(execFile)(process.execPath, [tsc, '-p', folder]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    )
    expect(told).toBe('')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('an example ends with its comment or at the next tag; other comments have none', () => {
  const source = `/**
 * One.
 * @example
 * one()
 *   .two()
 * @throws never
 */
export async function one() {}
/** Two. */
export const two = 1
/**
 * @example
 * three()
 */
export function* three() {}
/**
 * @example
 * hidden()
 */
function hidden() {}
`
  expect(examplesIn(source)).toEqual([
    { of: 'one', text: 'one()\n  .two()' },
    { of: 'three', text: 'three()' },
  ])
})

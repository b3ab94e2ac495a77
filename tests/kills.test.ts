// Three seeded kills of a real training process on the demo model; bench/kills.ts does twenty.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { killLoop, mistudio } from './kill_loop.ts'

const assets = fileURLToPath(new URL('../assets/demo', import.meta.url))
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mistudio-kills-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

test('a training killed at any moment and resumed ends with the same bits', async () => {
  const model = join(assets, 'model')
  const text = join(folder, 'text.jsonl')
  const lines = Array.from({ length: 60 }, (_, i) =>
    JSON.stringify({ text: `Document ${i}: ${'In the beginning was the word. '.repeat(20 + i)}` }),
  )
  writeFileSync(text, lines.join('\n'))
  const dataset = join(folder, 'dataset')
  const made = await mistudio([
    'dataset',
    'tokenize',
    '--model',
    model,
    '--text',
    text,
    '--context',
    '32',
    '--out',
    dataset,
  ])
  expect(made.code, made.output).toBe(0)
  const hooks = 'blocks.0.hook_resid_post,blocks.1.hook_mlp_out'
  const train = [
    '--model',
    model,
    '--dataset',
    dataset,
    '--hook',
    hooks,
    '--d-sae',
    '512',
    '--k',
    '8',
    '--train-tokens',
    '30000',
    '--batch-size',
    '256',
    '--checkpoint-every',
    '7',
    '--threads',
    '2',
  ]
  const reports = await killLoop({ train, folder, kills: 3, seed: 5 })
  expect(reports.map(({ equal }) => equal)).toEqual([true, true, true])
})

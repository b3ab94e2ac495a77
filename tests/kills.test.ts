// Three seeded kills of real training processes on the demo model; bench/kills.ts does twenty.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { killLoop, mistudio, trainCommand, trainFamilies } from './kill_loop.ts'

const model = fileURLToPath(new URL('../assets/demo/model', import.meta.url))
let folder: string
const datasets: string[] = []
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mistudio-kills-'))
  for (const [i, words] of ['In the beginning was the word. ', 'A lexicon has its own order. '].entries()) {
    const text = join(folder, `text-${i}.jsonl`)
    const lines = Array.from({ length: 60 }, (_, n) =>
      JSON.stringify({ text: `Document ${n}: ${words.repeat(20 + n)}` }),
    )
    writeFileSync(text, lines.join('\n'))
    datasets.push(join(folder, `dataset-${i}`))
    const tokenize = ['dataset', 'tokenize', '--model', model, '--text', text, '--context', '32']
    const made = await mistudio([...tokenize, '--out', datasets[i]])
    expect(made.code, made.output).toBe(0)
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

test('a training killed at any moment and resumed ends with the same bits', async () => {
  const train = trainCommand([
    ...['--model', model, '--dataset', ...datasets, '--dataset-weights', '1,3'],
    ...['--hook', 'blocks.0.hook_resid_post,blocks.1.hook_mlp_out', '--d-sae', '512', '--sweep', 'k=4,8'],
    ...['--train-tokens', '20000', '--batch-size', '256', '--checkpoint-every', '7', '--threads', '2'],
  ])
  const reports = await killLoop({ train, folder: join(folder, 'command'), kills: 3, seed: 5 })
  expect(reports.map(({ equal }) => equal)).toEqual([true, true, true])
})

test('a run with an SAE of every family over two datasets, killed and resumed, ends with the same bits', async () => {
  const train = trainFamilies({ model, datasets, tokens: 128 * 45, checkpointEvery: 7 })
  const reports = await killLoop({ train, folder: join(folder, 'families'), kills: 3, seed: 6 })
  expect(reports.map(({ equal }) => equal)).toEqual([true, true, true])
})

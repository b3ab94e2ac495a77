// An SAE of which no feature ever fires: its extraction and its analysis come to an end all the same, of nothing.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openExtraction } from '@mistudio/feature'
import { afterAll, expect, test } from 'vitest'
import { demoWidth, writeSae } from '../../testing/artefacts.ts'
import { extractSpec, run, tokenizeSpec, writeText } from '../../testing/runner_specs.ts'
import { featureRows } from '../domain/features/rows.ts'
import { newId } from '../ids.ts'

const folder = mkdtempSync(join(tmpdir(), 'mistudio-no-features-'))
const at = (...names: string[]) => join(folder, ...names)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('an extraction in which nothing fires completes, and so does its analysis', async () => {
  const file = writeText({ path: at('text.jsonl'), name: 'scripture', lines: 8 })
  await run(tokenizeSpec({ file, out: at('text') }))
  // All weights are 0, and so is every activation.
  const saeDir = await writeSae({ dir: at('sae'), hookPoint: 'blocks.0.hook_resid_post', dIn: demoWidth })
  const stores = [at('text', 'store')]
  const { end, events } = await run(extractSpec({ saeDir, stores, cacheDir: at('cache'), out: at('out') }))
  expect(end).toMatchObject({ kind: 'result', result: { kind: 'extract', featuresAlive: 0, complete: true } })
  expect(events.at(-1)).toMatchObject({
    event: 'extraction:completed',
    data: { progress: 1, features_in_heap: 0, heap_examples_count: 0 },
  })

  const extractionId = newId('extraction')
  const extraction = await openExtraction({ dir: at('out', 'extraction') })
  expect(await featureRows({ extraction, extractionId })).toEqual([])
  extraction.close()

  const extractionDir = at('out', 'extraction')
  const analysed = await run({ kind: 'nlp', extractionId, extractionDir, out: at('nlp') })
  expect(analysed.end).toEqual({ kind: 'result', result: { kind: 'nlp', features: 0, complete: true } })
  // Nothing of nothing is all of it.
  expect(analysed.events.map(({ data }) => data)).toMatchObject([{ nlp_progress: 1, nlp_total_count: 0 }])
  expect(readFileSync(at('nlp', 'nlp.jsonl'), 'utf8')).toBe('')
})

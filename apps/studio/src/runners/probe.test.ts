// The probe before a training, in a real process: what is measured of text, and what is not said without any.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { contextSize, run, tokenizeSpec, trainSpec, writeText } from '../../testing/runner_specs.ts'
import type { ProbeSpec } from './spec.ts'

const folder = mkdtempSync(join(tmpdir(), 'mistudio-probe-'))
const at = (...names: string[]) => join(folder, ...names)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('drawn tokens say how fast it will be, and only text how large the activations are', async () => {
  const file = writeText({ path: at('text.jsonl'), name: 'scripture', lines: 20 })
  await run(tokenizeSpec({ file, out: at('text') }))
  const training = trainSpec({ stores: [], cacheDir: at('cache'), out: at('out') })
  const probe = async (stores: string[]) => {
    const { modelDirs, cacheDir, members } = training
    const spec: ProbeSpec = {
      ...{ kind: 'probe', modelDirs, cacheDir, members, stores },
      ...{ contextSize, batchSize: 256, totalSteps: 100 },
    }
    const { end } = await run(Object.assign(spec, { out: at('probe') }))
    if (end.kind !== 'result' || end.result.kind !== 'probe') throw new Error(JSON.stringify(end))
    return end.result.probe
  }
  const [read, drawn] = [await probe([at('text', 'store')]), await probe([])]
  expect(Object.keys(read.scales).sort()).toEqual(['blocks.0.hook_mlp_out', 'blocks.0.hook_resid_post'])
  for (const scale of Object.values(read.scales)) expect(scale.meanNorm).toBeGreaterThan(0)
  expect(drawn).toEqual({ ...drawn, scales: {} })
  expect(Object.keys(drawn)).toEqual(Object.keys(read))
})

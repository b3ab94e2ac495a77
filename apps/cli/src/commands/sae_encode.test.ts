// `mistudio sae encode` of an SAE that reads two hook points and fires as many latents as it likes.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openSafetensors, writeSafetensors } from '@mistudio/files'
import { inferSae, saveSae } from '@mistudio/sae'
import { activations, randomRows, randomSae, worst } from '@mistudio/sae/testing/encoder_support.ts'
import { afterAll, expect, test } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'mistudio-encode-'))
const at = (name: string) => join(folder, name)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a crosscoder is encoded from the columns of its hook points beside each other', async () => {
  const sae = randomSae({ structure: 'crosscoder', activation: activations.relu, dSae: 200, bias: 1 })
  await saveSae({ dir: at('sae'), sae, metadata: { modelName: 'm', contextSize: 64 } })
  const x = randomRows({ n: 70, width: 21 })
  await writeSafetensors({
    path: at('x.safetensors'),
    tensors: [{ name: 'activations', dtype: 'F32', shape: [70, 21], data: x }],
  })
  const mistudio = fileURLToPath(new URL('../../../../bin/mistudio', import.meta.url))
  const words = ['sae', 'encode', '--sae', at('sae'), '--activations', at('x.safetensors')]
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [mistudio, ...words, '--out', at('f.safetensors'), '--json'],
    { cwd: folder, encoding: 'utf8' },
  )
  expect([status, status === 0 ? '' : stderr]).toEqual([0, ''])
  const wanted = inferSae({ sae, x })
  const firing = wanted.featureActs.filter(value => value > 0).length
  expect(JSON.parse(stdout)).toMatchObject({
    architecture: 'mistudio_relu_crosscoder',
    family: 'crosscoder',
    rows: 70,
    d_in: 21,
    d_out: 21,
    k: null,
    l0: firing / 70,
  })
  const written = openSafetensors(at('f.safetensors'))
  expect(worst(written.readF32('feature_acts'), wanted.featureActs)).toBeLessThan(1e-5)
  expect(worst(written.readF32('reconstruction'), wanted.reconstruction)).toBeLessThan(1e-5)
  written.close()
})

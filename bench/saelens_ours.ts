// Writes an SAE of every activation, structure and row normalisation as we save it, with rows and what our encoder makes
// of them, for `saelens_files.py check-all`: `node bench/saelens_ours.ts DIR`.

import { join } from 'node:path'
import { writeSafetensors } from '@mistudio/files'
import { saveSae } from '@mistudio/sae'
import { openWorkerPool } from '@mistudio/tensor'
import { createEncoder } from '../packages/sae/src/encoder/encoder.ts'
import type { Activation, RowNormalisation } from '../packages/sae/src/sae.ts'
import {
  activations,
  encodeDense,
  randomRows,
  randomSae,
  structures,
} from '../packages/sae/testing/encoder_support.ts'

const [, , folder] = process.argv
if (folder === undefined) throw new Error('give a folder to write to')
const pool = await openWorkerPool({ count: 2 })
const rows = 500
for (const structure of structures) {
  for (const kind of Object.keys(activations) as Activation['kind'][]) {
    for (const normalisation of ['none', 'layer_norm', 'token_rms'] as RowNormalisation[]) {
      const sae = randomSae({ structure, activation: activations[kind], normalisation, dSae: 200 })
      const { dIn, dSae, dOut } = sae.shape
      const dir = join(folder, `${structure}-${kind}-${normalisation}`)
      await saveSae({ dir, sae, metadata: { modelName: 'random', contextSize: 128 } })
      const x = randomRows({ n: rows, width: dIn })
      const encoder = await createEncoder({ pool, sae })
      const { featureActs, reconstruction } = await encodeDense({ pool, encoder, x })
      await encoder.close()
      const f32 = (name: string, width: number, data: Float32Array) => ({
        name,
        dtype: 'F32' as const,
        shape: [rows, width],
        data,
      })
      await writeSafetensors({ path: join(dir, 'x.safetensors'), tensors: [f32('x', dIn, x)] })
      await writeSafetensors({
        path: join(dir, 'ours.safetensors'),
        tensors: [f32('feature_acts', dSae, featureActs), f32('reconstruction', dOut, reconstruction)],
      })
    }
  }
}
await pool.close()

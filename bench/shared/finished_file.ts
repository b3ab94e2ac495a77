// Finished SAEs and initial weights in the layout that the peers' scripts share (peers/given_batches.py).

import { openSafetensors, writeSafetensors } from '@mistudio/files'
import type { Sae, SaeWeights } from '@mistudio/sae'

/** Names in the file by the key of our weights. */
const names = {
  wEnc: 'W_enc',
  bEnc: 'b_enc',
  wDec: 'W_dec',
  bDec: 'b_dec',
  threshold: 'threshold',
  rMag: 'r_mag',
  bMag: 'b_mag',
  wSkip: 'W_skip',
} as const satisfies Record<keyof SaeWeights, string>

export function readWeights(path: string): SaeWeights {
  const file = openSafetensors(path)
  const found = Object.entries(names).filter(([, name]) => file.tensors.has(name))
  const weights = Object.fromEntries(found.map(([key, name]) => [key, file.readF32(name)]))
  file.close()
  return weights as SaeWeights
}

export async function writeFinished(path: string, sae: Sae): Promise<void> {
  const { dIn, dSae, dOut } = sae.shape
  const shapes: Record<keyof SaeWeights, number[]> = {
    wEnc: [dSae, dIn],
    bEnc: [dSae],
    wDec: [dSae, dOut],
    bDec: [dOut],
    threshold: [dSae],
    rMag: [dSae],
    bMag: [dSae],
    wSkip: [dOut, dIn],
  }
  const tensors = Object.entries(names).flatMap(([key, name]) => {
    const data = sae.weights[key as keyof SaeWeights]
    return data === undefined
      ? []
      : [{ name, dtype: 'F32' as const, shape: shapes[key as keyof SaeWeights], data }]
  })
  const { activation, centred } = sae
  const k = activation.kind === 'topk' ? activation.k : 0
  const metadata = { activation: activation.kind, centred: String(centred), k: String(k) }
  await writeSafetensors({ path, tensors, metadata })
}

// What an encoder is asked for: rows of activations, and what is wanted of them.
import type { Place } from '@mistudio/tensor'
import type { HitRoom } from './encoder_hits.ts'

export type EncodeRequest = {
  rows: number
  /** float32 [rows, width], one for each input hook point in the SAE's order. */
  inputs: readonly Place[]
  /** Where the hits go; absent: the reconstruction alone. */
  hits?: HitRoom
  /** float32 [rows, width], one for each output hook point: x̂ in the model's own space. */
  reconstruction?: readonly Place[]
}

// An encoder's request: rows of activations and the outputs wanted.
import type { Place } from '@mistudio/tensor'
import type { HitRoom } from './encoder_hits.ts'

export type EncodeRequest = {
  rows: number
  /** float32 [rows, width], one per input hook point in the SAE's order. */
  inputs: readonly Place[]
  /** Where the hits go; absent: only the reconstruction. */
  hits?: HitRoom
  /** float32 [rows, width], one per output hook point: x̂ in the model's own space. */
  reconstruction?: readonly Place[]
}

// Everything a TopK learner needs to go on after a restart, by name. One block gives views of its memory; several
// are joined by a copy.
import { InputError } from '@mistudio/tensor'
import type { LearnerState, SaeWeights } from './families.ts'
import type { Block } from './topk_block.ts'

type Stored = {
  blocks: Block[]
  dIn: number
  dSae: number
  bDec: Float32Array
  bDecMoments: Float32Array[]
  tokensSinceFired: Float64Array
}

type Tensor = { name: string; width: number; pointerOf: (at: Block['at']) => number }

/** The tensors that are spread over blocks, with their elements per latent. */
function spread(dIn: number): Tensor[] {
  const moments = ([0, 1] as const).flatMap((i): Tensor[] => [
    { name: `W_enc.moment${i + 1}`, width: dIn, pointerOf: at => at.moments.wEnc[i] },
    { name: `W_dec.moment${i + 1}`, width: dIn, pointerOf: at => at.moments.wDec[i] },
    { name: `b_enc.moment${i + 1}`, width: 1, pointerOf: at => at.moments.bEnc[i] },
  ])
  return [
    { name: 'W_enc', width: dIn, pointerOf: at => at.wEnc },
    { name: 'W_dec', width: dIn, pointerOf: at => at.wDec },
    { name: 'b_enc', width: 1, pointerOf: at => at.bEnc },
    ...moments,
  ]
}

function joined({ blocks, dSae }: Stored, { width, pointerOf }: Tensor): Float32Array {
  const [first] = blocks
  if (blocks.length === 1) return first.memory.f32(pointerOf(first.at), dSae * width)
  const result = new Float32Array(dSae * width)
  for (const { memory, at, lo, latents } of blocks) {
    result.set(memory.f32(pointerOf(at), latents * width), lo * width)
  }
  return result
}

export function joinedWeights(stored: Stored): SaeWeights {
  const [wEnc, wDec, bEnc] = spread(stored.dIn).map(tensor => joined(stored, tensor))
  return { wEnc, bEnc, wDec, bDec: stored.bDec }
}

export function topkState(stored: Stored & { steps: number; tokensSeen: number }): LearnerState {
  const { dIn, bDec, bDecMoments, tokensSinceFired, steps, tokensSeen } = stored
  return new Map<string, Float32Array | Float64Array>([
    ...spread(dIn).map((tensor): [string, Float32Array] => [tensor.name, joined(stored, tensor)]),
    ['b_dec', bDec],
    ['b_dec.moment1', bDecMoments[0]],
    ['b_dec.moment2', bDecMoments[1]],
    ['tokens_since_fired', tokensSinceFired],
    ['counters', Float64Array.of(steps, tokensSeen)],
  ])
}

/** @returns steps and tokens seen. @throws InputError naming a tensor that is missing or has another length */
export function restoreTopk(options: Stored & { saved: LearnerState }): [steps: number, tokensSeen: number] {
  const { saved, blocks, dIn, dSae, bDec, bDecMoments, tokensSinceFired } = options
  const take = (name: string, length: number) => {
    const source = saved.get(name)
    if (source?.length === length) return source
    const found = source === undefined ? 'nothing' : `${source.length} elements`
    const expected = `${length} elements`
    throw new InputError({ message: 'the checkpoint does not fit the SAE', field: name, found, expected })
  }
  for (const { name, width, pointerOf } of spread(dIn)) {
    const source = take(name, dSae * width)
    for (const { memory, at, lo, latents } of blocks) {
      memory.f32(pointerOf(at), latents * width).set(source.subarray(lo * width, (lo + latents) * width))
    }
  }
  bDec.set(take('b_dec', dIn))
  bDecMoments[0].set(take('b_dec.moment1', dIn))
  bDecMoments[1].set(take('b_dec.moment2', dIn))
  tokensSinceFired.set(take('tokens_since_fired', dSae))
  const [steps, tokensSeen] = take('counters', 2)
  return [steps, tokensSeen]
}

// A causal depthwise convolution as an ONNX Conv with a group for each channel. Before the first token come zeros, or
// with a cache the tokens before it. (As sums of shifted rows it takes 1.1 to 1.8 times as long over whole contexts.)
import type { ShortConv } from '../ops.ts'
import type { OnnxTokens } from './onnx_tokens.ts'
import { integers, reshape, type Tape, type Value } from './tape.ts'

/** @returns [tokens, width] */
export function shortConv(options: { tape: Tape; tokens: OnnxTokens; x: Value; settings: ShortConv }): Value {
  const { tape, tokens, x, settings } = options
  const { layer, width, weight, bias, kernel } = settings
  const { contexts, length, cache } = tokens
  const list = (...numbers: number[]) => integers(tape, ...numbers)
  const turned = (value: Value) => tape.node('Transpose', [value], { perm: [0, 2, 1] })
  const before = kernel - 1
  // [contexts, rows, width]
  let rows: Value
  if (cache === undefined) rows = reshape(tape, x, contexts, length, width)
  else {
    const joined = tape.node('Concat', [cache.state(layer, 'conv'), x], { axis: 0 })
    const ends = [list(-before), list(Number.MAX_SAFE_INTEGER), list(0)]
    cache.keep(layer, 'conv', tape.node('Slice', [joined, ...ends]))
    rows = tape.node('Unsqueeze', [joined, list(0)])
  }
  const inputs = [turned(rows), tape.weight(weight)]
  if (bias !== undefined) inputs.push(tape.weight(bias))
  const result = turned(
    tape.node('Conv', inputs, {
      group: width,
      kernel_shape: [kernel],
      pads: [cache === undefined ? before : 0, 0],
    }),
  )
  return cache === undefined
    ? reshape(tape, result, contexts * length, width)
    : tape.node('Squeeze', [result, list(0)])
}

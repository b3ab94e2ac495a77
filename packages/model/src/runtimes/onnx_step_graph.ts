// The graph of a generation step: it runs new tokens after any number of earlier ones. What the
// earlier tokens left in the cache are inputs, what the new ones add are outputs, following the model's cache layout.
import type { LanguageModel } from '../load.ts'
import { onnxOps } from './onnx.ts'
import { blocksByWindow } from './onnx_attention.ts'
import type { CacheEntry } from './shapes.ts'
import { createTape, integers, type Output, reshape, type Tape, type Value } from './tape.ts'

/**
 * Inputs `input_ids` [1, length] and `positions` [length]; outputs `logits` [1, vocab]. For each layer with attention
 * inputs `past_keys.LAYER` and `past_values.LAYER` [past, width], only the rows within the window if there is one, and outputs
 * `keys.LAYER` and `values.LAYER` [length, width]; for each state input `past_NAME.LAYER` and output `next_NAME.LAYER`.
 */
export function recordStep({ config, shapes, forward, weights }: LanguageModel): Uint8Array {
  const tape = createTape()
  const outputs: Output[] = []
  const put = (name: string, value: Value, shape: (number | string)[]) =>
    outputs.push({ name, value, dtype: 'float32', shape })
  const positions = tape.node('Cast', [tape.input('positions', 'int32', ['length'])], { to: 7 })
  const append = (name: string, value: Value, width: number, past: string) => {
    put(name, value, ['length', width])
    return tape.node('Concat', [tape.input(`past_${name}`, 'float32', [past, width]), value], { axis: 0 })
  }
  const all = [{ mask: causalMask(tape, positions) }]
  const ops = onnxOps({
    tape,
    dModel: config.dModel,
    tokens: {
      inputIds: tape.input('input_ids', 'int32', [1, 'length']),
      positions,
      contexts: 1,
      length: -1,
      blocks: blocksByWindow(window =>
        window === undefined ? all : [{ mask: causalMask(tape, positions, window) }],
      ),
      rotaryPositions: reshape(tape, positions, 1, -1),
      farthest: config.nCtx,
      lastOnly: true,
      cache: {
        append(layer, k, v) {
          const { keys, values, window } = attentionCache(shapes.cache, layer)
          // The same number of rows in every layer with the same window.
          const past = window === undefined ? 'past' : `past_of_${window}`
          return {
            keys: append(`keys.${layer}`, k, keys, past),
            values: append(`values.${layer}`, v, values, past),
          }
        },
        state: (layer, name) =>
          tape.input(`past_${name}.${layer}`, 'float32', stateCache(shapes.cache, layer, name).shape),
        keep: (layer, name, value) =>
          put(`next_${name}.${layer}`, value, stateCache(shapes.cache, layer, name).shape),
      },
    },
  })
  const logits = forward(ops, (_, value) => value)
  put('logits', logits, [1, config.vocabSize])
  return tape.emit({ outputs, weights }).bytes
}

function attentionCache(cache: readonly CacheEntry[], layer: number) {
  for (const entry of cache) if (entry.kind === 'attention' && entry.layer === layer) return entry
  throw new Error(`layer ${layer} has no keys and values in the cache`)
}

function stateCache(cache: readonly CacheEntry[], layer: number, name: string) {
  for (const entry of cache) {
    if (entry.kind === 'state' && entry.layer === layer && entry.name === name) return entry
  }
  throw new Error(`layer ${layer} has no state ${name} in the cache`)
}

/**
 * [length, keys], 0 where a query sees a key and −∞ elsewhere. The new tokens are the last keys, so the last position
 * counts them all. With a window, the keys start with the first one the first query sees.
 */
function causalMask(tape: Tape, positions: Value, window?: number): Value {
  const scalar = (n: number) => tape.constant(BigInt64Array.of(BigInt(n)), [])
  const extreme = (op: string) => tape.node(op, [positions, integers(tape, 0)], { keepdims: 0 })
  const last = extreme('ReduceMax')
  const start =
    window === undefined
      ? scalar(0)
      : tape.node('Max', [tape.node('Sub', [extreme('ReduceMin'), scalar(window - 1)]), scalar(0)])
  const keys = tape.node('Range', [start, tape.node('Add', [last, scalar(1)]), scalar(1)])
  const queries = reshape(tape, positions, -1, 1)
  const before = tape.node('LessOrEqual', [keys, queries])
  const seen =
    window === undefined
      ? before
      : tape.node('And', [before, tape.node('Greater', [keys, tape.node('Sub', [queries, scalar(window)])])])
  return tape.node('Where', [
    seen,
    tape.constant(Float32Array.of(0), []),
    tape.constant(Float32Array.of(Number.NEGATIVE_INFINITY), []),
  ])
}

// Generation on ONNX Runtime: one graph for the prompt and for every token after it. Keys and values lie
// preallocated in shared memory, a row a position: the past is a prefix view of it, and a run writes the rows of
// its new tokens right behind, so no cache is ever copied between runs.
import type { Lanes, SharedMemory, View } from '@mistudio/tensor'
import { decode } from '../architectures.ts'
import type { Stepper } from '../generate.ts'
import { finalNormalized } from '../hooks.ts'
import type { LanguageModel } from '../load.ts'
import { openGraph } from '../session.ts'
import { onnxOps } from './onnx.ts'
import { createTape, type Output, type Tape, type Value } from './tape.ts'

/** @param options.capacity the most tokens that will be run, prompt included */
export async function openStepper(options: {
  model: LanguageModel
  lanes: Lanes
  capacity: number
}): Promise<Stepper> {
  const { model, lanes, capacity } = options
  const { nLayers, nKvHeads, dHead, vocabSize } = model.config
  const width = nKvHeads * dHead
  const settings = { lane: 0, threads: lanes.count }
  const session = await openGraph({ model, lanes, bytes: recordStep(model), settings })
  const cacheBytes = capacity * width * 4
  let memory: SharedMemory
  try {
    memory = await lanes.memory({
      bytes: 2 * nLayers * (cacheBytes + 64) + capacity * 8 + vocabSize * 4 + 4096,
    })
  } catch (error) {
    await lanes.closeSession(session)
    throw error
  }
  const caches = Array.from({ length: nLayers }, () => ({
    keys: memory.alloc(cacheBytes),
    values: memory.alloc(cacheBytes),
  }))
  const ids = memory.alloc(capacity * 4)
  const positions = memory.alloc(capacity * 4)
  const logits = memory.alloc(vocabSize * 4)
  const view = (offset: number, dtype: 'float32' | 'int32', ...shape: number[]): View => ({
    memory: memory.id,
    offset,
    dtype,
    shape,
  })
  let past = 0
  return {
    async next(tokens) {
      const length = tokens.length
      memory.i32(ids, length).set(tokens)
      memory.i32(positions, length).set(tokens.map((_, i) => past + i))
      const inputs: Record<string, View> = {
        input_ids: view(ids, 'int32', 1, length),
        positions: view(positions, 'int32', length),
      }
      const outputs: Record<string, View> = { logits: view(logits, 'float32', 1, vocabSize) }
      caches.forEach(({ keys, values }, layer) => {
        inputs[`past_keys.${layer}`] = view(keys, 'float32', past, width)
        inputs[`past_values.${layer}`] = view(values, 'float32', past, width)
        outputs[`keys.${layer}`] = view(keys + past * width * 4, 'float32', length, width)
        outputs[`values.${layer}`] = view(values + past * width * 4, 'float32', length, width)
      })
      await lanes.run([[{ session, inputs, outputs }]], { lane: 0 })
      past += length
      return memory.f32(logits, vocabSize)
    },
    async close() {
      await lanes.closeSession(session)
      await lanes.release(memory)
    },
  }
}

function recordStep({ config, weights }: LanguageModel): Uint8Array {
  const tape = createTape()
  const width = config.nKvHeads * config.dHead
  const outputs: Output[] = []
  const positions = tape.node('Cast', [tape.input('positions', 'int32', ['length'])], { to: 7 })
  const past = (name: string, layer: number) =>
    tape.input(`past_${name}.${layer}`, 'float32', ['past', width])
  // Every layer's past has the length of the first one's.
  const appendTo = (name: string, layer: number, value: Value) => {
    outputs.push({ name: `${name}.${layer}`, value, dtype: 'float32', shape: ['length', width] })
    return tape.node('Concat', [past(name, layer), value], { axis: 0 })
  }
  const list = (...numbers: number[]) => tape.constant(BigInt64Array.from(numbers, BigInt), [numbers.length])
  const ops = onnxOps({
    tape,
    config,
    tokens: {
      inputIds: tape.input('input_ids', 'int32', [1, 'length']),
      positions,
      contexts: 1,
      length: -1,
      blocks: [{ mask: causalMask(tape, positions) }],
      rotaryPositions: tape.node('Reshape', [positions, list(1, -1)]),
      cached: (layer, k, v) => ({ keys: appendTo('keys', layer, k), values: appendTo('values', layer, v) }),
    },
  })
  const logits = decode(ops, config, (name, value) =>
    name === finalNormalized
      ? tape.node('Slice', [value, list(-1), list(Number.MAX_SAFE_INTEGER), list(0)])
      : value,
  )
  outputs.push({ name: 'logits', value: logits, dtype: 'float32', shape: [1, config.vocabSize] })
  return tape.emit({ outputs, weights }).bytes
}

/** [length, past + length]: the new tokens are the last keys, so the last position counts all keys. */
function causalMask(tape: Tape, positions: Value): Value {
  const scalar = (n: number) => tape.constant(BigInt64Array.of(BigInt(n)), [])
  const list = (...numbers: number[]) => tape.constant(BigInt64Array.from(numbers, BigInt), [numbers.length])
  const last = tape.node('ReduceMax', [positions, list(0)], { keepdims: 0 })
  const keys = tape.node('Range', [scalar(0), tape.node('Add', [last, scalar(1)]), scalar(1)])
  const seen = tape.node('LessOrEqual', [keys, tape.node('Reshape', [positions, list(-1, 1)])])
  return tape.node('Where', [
    seen,
    tape.constant(Float32Array.of(0), []),
    tape.constant(Float32Array.of(Number.NEGATIVE_INFINITY), []),
  ])
}

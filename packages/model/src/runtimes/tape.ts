// A recorded computation: the nodes a model definition recorded, in order. Only what the requested outputs need is
// written into the ONNX graph, so a capture stops the graph at its last hook, and a suffix begins at its first,
// without any change to the model definition.
import {
  type Attribute,
  type ConstantData,
  createGraph,
  type Dimension,
  type GraphType,
} from '@mistudio/tensor'
import { externalName, type WeightStore } from '../weights.ts'

type Source =
  | { kind: 'input'; name: string; dtype: GraphType; shape: Dimension[] }
  | { kind: 'constant'; data: ConstantData; shape: number[] }
  | { kind: 'weight'; name: string }
  | { kind: 'node'; node: TapeNode }

/** One tensor of the recorded computation. */
export type Value = { readonly source: Source }

type TapeNode = {
  op: string
  inputs: (Value | undefined)[]
  attributes: Record<string, Attribute>
  domain?: string
  outputs: Value[]
  /** The block the node belongs to. */
  layer: number | null
}

type TapeNodeOptions = { domain?: string; outputs?: number }

export type Tape = {
  /** The block that nodes recorded from now on belong to. */
  layer: number | null
  input(name: string, dtype: GraphType, shape: Dimension[]): Value
  constant(data: ConstantData, shape: number[]): Value
  weight(name: string): Value
  /** An undefined input is an omitted optional one. @returns the first output */
  node(
    op: string,
    inputs: (Value | undefined)[],
    attributes?: Record<string, Attribute>,
    options?: TapeNodeOptions,
  ): Value
  nodes(
    op: string,
    inputs: (Value | undefined)[],
    attributes?: Record<string, Attribute>,
    options?: TapeNodeOptions,
  ): Value[]
  emit(options: EmitOptions): Emitted
}

export type Output = { name: string; value: Value; dtype: GraphType; shape: Dimension[] }

type EmitOptions = {
  outputs: readonly Output[]
  weights: WeightStore
  /** Values that become inputs of the graph instead of being computed. */
  cut?: ReadonlyMap<Value, { name: string; dtype: GraphType; shape: Dimension[] }>
}

type Emitted = {
  bytes: Uint8Array
  /** Names of the inputs the graph needs, cut values included. */
  inputs: string[]
  /** Blocks that have a node in the graph. */
  layers: Set<number>
}

export function createTape(): Tape {
  const recorded: TapeNode[] = []
  const weights = new Map<string, Value>()
  const tape: Tape = {
    layer: null,
    input: (name, dtype, shape) => ({ source: { kind: 'input', name, dtype, shape } }),
    constant: (data, shape) => ({ source: { kind: 'constant', data, shape } }),
    weight(name) {
      const value = weights.get(name) ?? { source: { kind: 'weight', name } }
      weights.set(name, value)
      return value
    },
    node: (op, inputs, attributes, options) => tape.nodes(op, inputs, attributes, options)[0],
    nodes(op, inputs, attributes = {}, { domain, outputs = 1 } = {}) {
      const node: TapeNode = { op, inputs, attributes, domain, outputs: [], layer: tape.layer }
      node.outputs = Array.from({ length: outputs }, () => ({ source: { kind: 'node', node } }))
      recorded.push(node)
      return node.outputs
    },
    emit: options => emit(recorded, options),
  }
  return tape
}

/** An int64 constant of one dimension. */
export const integers = (tape: Tape, ...numbers: number[]): Value =>
  tape.constant(BigInt64Array.from(numbers, BigInt), [numbers.length])

/** As ONNX's Reshape: -1 is inferred, 0 copies x's dimension. */
export const reshape = (tape: Tape, x: Value, ...dims: number[]): Value =>
  tape.node('Reshape', [x, integers(tape, ...dims)])

function emit(recorded: readonly TapeNode[], { outputs, weights, cut = new Map() }: EmitOptions): Emitted {
  const live = liveNodes(outputs, cut)
  const graph = createGraph()
  const names = new Map<Value, string>()
  const inputs: string[] = []
  const declare = (name: string, dtype: GraphType, shape: Dimension[]) => {
    if (!inputs.includes(name)) {
      graph.input(name, dtype, shape)
      inputs.push(name)
    }
    return name
  }
  const leaf = (value: Value): string => {
    const input = cut.get(value)
    if (input !== undefined) return declare(input.name, input.dtype, input.shape)
    const { source } = value
    switch (source.kind) {
      case 'input':
        return declare(source.name, source.dtype, source.shape)
      case 'constant':
        return graph.constant(source.data, source.shape)
      case 'weight': {
        const info = weights.info(source.name)
        const { shape, byteOffset, byteLength } = info
        const file = externalName(info)
        return graph.external({ name: source.name, dtype: 'float32', shape, file, byteOffset, byteLength })
      }
      case 'node':
        throw new Error(`a value of ${source.node.op} is used before it is computed`)
    }
  }
  const nameOf = (value: Value | undefined): string => {
    if (value === undefined) return ''
    const name = names.get(value) ?? leaf(value)
    names.set(value, name)
    return name
  }
  // A node's output is named after the graph output; a second name for the same value is a copy.
  const wanted = new Map<Value, string>()
  for (const { name, value } of outputs) {
    if (value.source.kind === 'node' && !cut.has(value) && !wanted.has(value)) wanted.set(value, name)
  }
  const layers = new Set<number>()
  let serial = 0
  for (const node of recorded) {
    if (!live.has(node)) continue
    if (node.layer !== null) layers.add(node.layer)
    const made = node.outputs.map(value => wanted.get(value) ?? `t${++serial}`)
    graph.nodes(node.op, node.inputs.map(nameOf), node.attributes, { domain: node.domain, outputs: made })
    node.outputs.forEach((value, i) => {
      names.set(value, made[i])
    })
  }
  for (const { name, value, dtype, shape } of outputs) {
    if (wanted.get(value) !== name) graph.node('Identity', [nameOf(value)], {}, { outputs: [name] })
    graph.output(name, dtype, shape)
  }
  return { bytes: graph.bytes(), inputs, layers }
}

/** The nodes that the outputs need, walking backwards and stopping at cut values. */
function liveNodes(outputs: readonly Output[], cut: ReadonlyMap<Value, unknown>): Set<TapeNode> {
  const live = new Set<TapeNode>()
  const pending = outputs.map(({ value }) => value)
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (cut.has(value) || value.source.kind !== 'node' || live.has(value.source.node)) continue
    live.add(value.source.node)
    for (const input of value.source.node.inputs) if (input !== undefined) pending.push(input)
  }
  return live
}

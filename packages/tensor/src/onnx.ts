// A writer of ONNX graphs (github.com/onnx/onnx, onnx.proto3): just the messages a recorded model needs, so no
// protobuf library is needed. Large weights stay in their safetensors file: an initializer names the file's byte range
// ("external data"), and ONNX Runtime maps it.
import { InputError } from '@mistudio/files'

export type GraphType = 'float32' | 'uint8' | 'int8' | 'int32' | 'int64' | 'bool' | 'float16' | 'float64'

// TensorProto.DataType
const typeCodes: Record<GraphType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
}

export type ConstantData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Int8Array

/** A number is an integer attribute; floats are marked. */
export type Attribute = number | string | number[] | { float: number } | { floats: number[] }

export type Dimension = number | string

export type NodeOptions = {
  /** 'com.microsoft' for ONNX Runtime's own operators. */
  domain?: string
  /** Names of the outputs, or how many; '' leaves an optional output out. Default 1. */
  outputs?: number | string[]
}

export interface GraphBuilder {
  input(name: string, dtype: GraphType, shape: Dimension[]): string
  /** A value inside the graph file; equal small constants are stored once. */
  constant(data: ConstantData, shape: number[], name?: string): string
  /** A value in a byte range of a file next to the .onnx file. @throws InputError if name and file disagree */
  external(options: ExternalTensor): string
  /** Adds a node. Inputs '' are omitted optional ones. @returns the first output's name */
  node(op: string, inputs: string[], attributes?: Record<string, Attribute>, options?: NodeOptions): string
  /** As `node`. @returns all outputs' names */
  nodes(op: string, inputs: string[], attributes?: Record<string, Attribute>, options?: NodeOptions): string[]
  /** Declares a value as an output of the graph. */
  output(name: string, dtype: GraphType, shape: Dimension[]): void
  /** How many nodes were added. */
  readonly size: number
  bytes(): Uint8Array
}

export type ExternalTensor = {
  name: string
  dtype: GraphType
  shape: number[]
  /** Relative to the folder of the .onnx file. */
  file: string
  byteOffset: number
  byteLength: number
}

/**
 * The first output of every graph, an empty sequence. onnxruntime-node 1.30 copies each output into a new buffer after a run, in
 * graph order, even those written to preallocated memory. It cannot return a sequence, so it throws there, before
 * copying: pool_worker.ts requests it first and ignores that error.
 * For a product of 256 rows and 8,192 latents that saves a tenth of the time, and all of the garbage.
 */
export const stopName = 'stop'

const opsetVersion = 19
const irVersion = 9

export function createGraph(): GraphBuilder {
  const nodes: Uint8Array[] = []
  const initializers = new Map<string, Uint8Array>()
  const inputs: Uint8Array[] = []
  const outputs: Uint8Array[] = []
  const shared = new Map<string, string>()
  let serial = 0

  function nodesOf(
    op: string,
    from: string[],
    attributes: Record<string, Attribute> = {},
    { domain, outputs: wanted = 1 }: NodeOptions = {},
  ): string[] {
    const names = typeof wanted === 'number' ? Array.from({ length: wanted }, () => `v${++serial}`) : wanted
    nodes.push(
      message([
        ...from.map(name => text(1, name)),
        ...names.map(name => text(2, name)),
        text(4, op),
        ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
        ...(domain === undefined ? [] : [text(7, domain)]),
      ]),
    )
    return names
  }

  return {
    input(name, dtype, shape) {
      inputs.push(valueInfo(name, dtype, shape))
      return name
    },
    constant(data, shape, name) {
      const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      const key = raw.length <= 64 ? `${data.constructor.name} ${shape} ${raw}` : undefined
      const known = key !== undefined && name === undefined ? shared.get(key) : undefined
      if (known !== undefined) return known
      const chosen = name ?? `c${++serial}`
      if (key !== undefined && name === undefined) shared.set(key, chosen)
      const header = [...shape.map(n => integer(1, n)), integer(2, typeCodes[typeOf(data)]), text(8, chosen)]
      initializers.set(chosen, message([...header, bytes(9, raw)]))
      return chosen
    },
    external({ name, dtype, shape, file, byteOffset, byteLength }) {
      if (file.includes('/') || file.includes('\\')) {
        throw new InputError({ message: 'external data must be next to the graph', field: name, found: file })
      }
      if (!initializers.has(name)) {
        const entries = { location: file, offset: String(byteOffset), length: String(byteLength) }
        const external = Object.entries(entries).map(([key, value]) =>
          bytes(13, message([text(1, key), text(2, value)])),
        )
        const header = [...shape.map(n => integer(1, n)), integer(2, typeCodes[dtype]), text(8, name)]
        initializers.set(name, message([...header, ...external, integer(14, 1)]))
      }
      return name
    },
    node: (op, from, attributes, options) => nodesOf(op, from, attributes, options)[0],
    nodes: nodesOf,
    output(name, dtype, shape) {
      outputs.push(valueInfo(name, dtype, shape))
    },
    get size() {
      return nodes.length
    },
    bytes() {
      const graph = message([
        bytes(1, message([text(2, stopName), text(4, 'SequenceEmpty')])),
        ...nodes.map(node => bytes(1, node)),
        text(2, 'mistudio'),
        ...Array.from(initializers.values(), value => bytes(5, value)),
        ...inputs.map(value => bytes(11, value)),
        bytes(12, emptySequence(stopName)),
        ...outputs.map(value => bytes(12, value)),
      ])
      const opset = (domain: string, version: number) =>
        bytes(8, message([text(1, domain), integer(2, version)]))
      return message([
        integer(1, irVersion),
        bytes(7, graph),
        opset('', opsetVersion),
        opset('com.microsoft', 1),
      ])
    },
  }
}

function typeOf(data: ConstantData): GraphType {
  if (data instanceof Float32Array) return 'float32'
  if (data instanceof Float64Array) return 'float64'
  if (data instanceof Int32Array) return 'int32'
  if (data instanceof BigInt64Array) return 'int64'
  if (data instanceof Int8Array) return 'int8'
  return 'uint8'
}

// AttributeProto: name 1, f 2, i 3, s 4, floats 7, ints 8, type 20.
function attribute(name: string, value: Attribute): Uint8Array {
  if (typeof value === 'number') return message([text(1, name), integer(3, value), integer(20, 2)])
  if (typeof value === 'string') return message([text(1, name), text(4, value), integer(20, 3)])
  if (Array.isArray(value)) return message([text(1, name), ...value.map(n => integer(8, n)), integer(20, 7)])
  if ('float' in value) return message([text(1, name), float(2, value.float), integer(20, 1)])
  return message([text(1, name), ...value.floats.map(n => float(7, n)), integer(20, 6)])
}

// ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 | dim_param 2 } } } }.
function valueInfo(name: string, dtype: GraphType, shape: Dimension[]): Uint8Array {
  const dims = shape.map(n => bytes(1, message([typeof n === 'string' ? text(2, n) : integer(1, n)])))
  const tensor = message([integer(1, typeCodes[dtype]), bytes(2, message(dims))])
  return message([text(1, name), bytes(2, message([bytes(1, tensor)]))])
}

// ValueInfoProto: name 1, type 2 { sequence_type 4 { elem_type 1 { tensor_type 1 { elem_type 1 } } } }.
function emptySequence(name: string): Uint8Array {
  const float32 = message([bytes(1, message([integer(1, typeCodes.float32)]))])
  return message([text(1, name), bytes(2, message([bytes(4, message([bytes(1, float32)]))]))])
}

// Protobuf's wire format: a varint key (field << 3 | wire type), then the value.
function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value))
  const result: number[] = []
  while (rest > 127n) {
    result.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  result.push(Number(rest))
  return Uint8Array.from(result)
}

const message = (parts: Uint8Array[]): Uint8Array => Buffer.concat(parts)
const integer = (field: number, value: number) => message([varint(field << 3), varint(value)])
const bytes = (field: number, value: Uint8Array) =>
  message([varint((field << 3) | 2), varint(value.length), value])
const text = (field: number, value: string) => bytes(field, Buffer.from(value))
const float = (field: number, value: number) =>
  message([varint((field << 3) | 5), new Uint8Array(Float32Array.of(value).buffer)])

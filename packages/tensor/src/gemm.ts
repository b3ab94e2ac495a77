// The engine's dense product: y = a · bᵀ, as an ONNX graph of a single node. Weights are inputs, since
// they change with every step; feature-major rows make both operands contiguous along the summed dimension.
import { createGraph } from './onnx.ts'

/** Inputs `a` [R, D] and `b` [M, D], output `y` [R, M], float32; the three sizes may differ between calls. */
export function gemmGraph(): Uint8Array {
  const graph = createGraph()
  const a = graph.input('a', 'float32', ['R', 'D'])
  const b = graph.input('b', 'float32', ['M', 'D'])
  graph.node('Gemm', [a, b], { transB: 1 }, { outputs: ['y'] })
  graph.output('y', 'float32', ['R', 'M'])
  return graph.bytes()
}

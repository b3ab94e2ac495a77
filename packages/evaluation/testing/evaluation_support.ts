// For tests: a splice over made-up activations in place of a language model. "Logits" are the values at the first
// spliced hook points themselves, added up, so what a position's loss and divergence show is what was put in its place.
import { createGraph, type WorkerPool } from '@mistudio/tensor'
import type { SpliceForward } from '../src/spliced.ts'

/** `token_loss` is max_j |value_j| at every position; `token_kl` and `log_probs` come from softmax(value). */
export async function fakeSplice(options: {
  pool: WorkerPool
  hooks: readonly string[]
  width: number
  contextSize: number
  contextsPerCall: number
}): Promise<SpliceForward & { close(): Promise<void> }> {
  const { pool, hooks, width, contextSize, contextsPerCall } = options
  const rows = contextsPerCall * contextSize
  const graph = createGraph()
  const shapes: Record<string, number[]> = {
    spliced: [rows, 1],
    clean_log_probs: [rows, width],
    ...Object.fromEntries(hooks.flatMap(hook => [hook, `splice:${hook}`].map(name => [name, [rows, width]]))),
  }
  for (const [name, shape] of Object.entries(shapes)) graph.input(name, 'float32', shape)
  const list = (values: number[]) => graph.constant(BigInt64Array.from(values, BigInt), [values.length])
  const where = graph.node('Greater', ['spliced', graph.constant(new Float32Array(1), [1])])
  const value = hooks
    .map(hook => graph.node('Where', [where, `splice:${hook}`, hook]))
    .reduce((a, b) => graph.node('Add', [a, b]))
  graph.node('LogSoftmax', [value], { axis: -1 }, { outputs: ['log_probs'] })
  graph.node(
    'ReduceMax',
    [graph.node('Abs', [value]), list([1])],
    { keepdims: 0 },
    { outputs: ['token_loss'] },
  )
  const parts = graph.node('Mul', [
    graph.node('Exp', ['clean_log_probs']),
    graph.node('Sub', ['clean_log_probs', 'log_probs']),
  ])
  graph.node('ReduceSum', [parts, list([1])], { keepdims: 0 }, { outputs: ['token_kl'] })
  const outputs: Record<string, number[]> = { log_probs: [rows, width], token_loss: [rows], token_kl: [rows] }
  for (const [name, shape] of Object.entries(outputs)) graph.output(name, 'float32', shape)
  const session = await pool.session({ graph: graph.bytes() })
  return {
    inputs: Object.entries(shapes).map(([name, shape]) => ({ name, width: shape[1] })),
    hooks,
    frontier: hooks.slice(1),
    contextsPerCall,
    vocabSize: width,
    tasks({ contexts, places }) {
      const views = (ports: Record<string, number[]>, call: number) =>
        Object.fromEntries(
          Object.entries(ports).map(([name, shape]) => {
            const { memory, offset } = places[name]
            const bytes = call * rows * (shape[1] ?? 1) * 4
            const at = typeof offset === 'number' ? offset + bytes : offset
            return [name, { memory, offset: at, dtype: 'float32' as const, shape }]
          }),
        )
      return Array.from({ length: Math.ceil(contexts / contextsPerCall) }, (_, call) => [
        { session, inputs: views(shapes, call), outputs: views(outputs, call) },
      ])
    },
    close: () => pool.closeSession(session),
  }
}

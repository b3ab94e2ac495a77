// The dense products of a step as one-node ONNX graphs; all operands are inputs, since weights change with every step.

import {
  type Arg,
  createGraph,
  gemmGraph,
  type SessionStep,
  type SharedMemory,
  type WorkerPool,
} from '@mistudio/tensor'

/** A matrix in a shared memory. */
type Matrix = { offset: Arg; rows: number; columns: number }

export interface Products {
  /** y = a · bᵀ */
  timesTransposed(memory: SharedMemory, a: Matrix, b: Matrix, y: Arg): SessionStep
  /** y = a · bᵀ + bias, one bias for all rows. */
  affine(memory: SharedMemory, a: Matrix, b: Matrix, bias: Arg, y: Arg): SessionStep
  /** y = a · b + c */
  timesPlus(memory: SharedMemory, a: Matrix, b: Matrix, c: Arg, y: Arg): SessionStep
  /** y = aᵀ · b */
  transposedTimes(memory: SharedMemory, a: Matrix, b: Matrix, y: Arg): SessionStep
  close(): Promise<void>
}

function graph(options: { transA?: boolean; transB?: boolean; add?: 'row' | 'matrix' }): Uint8Array {
  const { transA = false, transB = false, add } = options
  const g = createGraph()
  const a = g.input('a', 'float32', transA ? ['K', 'R'] : ['R', 'K'])
  const b = g.input('b', 'float32', transB ? ['M', 'K'] : ['K', 'M'])
  const c = add === undefined ? [] : [g.input('c', 'float32', add === 'row' ? ['M'] : ['R', 'M'])]
  const flags = { ...(transA ? { transA: 1 } : {}), ...(transB ? { transB: 1 } : {}) }
  g.node('Gemm', [a, b, ...c], flags, { outputs: ['y'] })
  g.output('y', 'float32', ['R', 'M'])
  return g.bytes()
}

export async function createProducts(pool: WorkerPool): Promise<Products> {
  const plain = await pool.session({ graph: gemmGraph() })
  const affine = await pool.session({ graph: graph({ transB: true, add: 'row' }) })
  const plus = await pool.session({ graph: graph({ add: 'matrix' }) })
  const transposed = await pool.session({ graph: graph({ transA: true }) })
  const view = (memory: SharedMemory, offset: Arg, ...shape: number[]) => ({
    memory: memory.id,
    offset,
    dtype: 'float32' as const,
    shape,
  })
  const whole = (memory: SharedMemory, { offset, rows, columns }: Matrix) =>
    view(memory, offset, rows, columns)
  return {
    timesTransposed: (memory, a, b, y) => ({
      session: plain,
      inputs: { a: whole(memory, a), b: whole(memory, b) },
      outputs: { y: view(memory, y, a.rows, b.rows) },
    }),
    affine: (memory, a, b, bias, y) => ({
      session: affine,
      inputs: { a: whole(memory, a), b: whole(memory, b), c: view(memory, bias, b.rows) },
      outputs: { y: view(memory, y, a.rows, b.rows) },
    }),
    timesPlus: (memory, a, b, c, y) => ({
      session: plus,
      inputs: { a: whole(memory, a), b: whole(memory, b), c: view(memory, c, a.rows, b.columns) },
      outputs: { y: view(memory, y, a.rows, b.columns) },
    }),
    transposedTimes: (memory, a, b, y) => ({
      session: transposed,
      inputs: { a: whole(memory, a), b: whole(memory, b) },
      outputs: { y: view(memory, y, a.columns, b.columns) },
    }),
    async close() {
      for (const id of [plain, affine, plus, transposed]) await pool.closeSession(id)
    },
  }
}

// Workers: the same bits on any number of threads. Errors and closing: worker_pool_errors.test.ts.
import { describe, expect, test } from 'vitest'
import { floats, integers, uniform } from '../testing/kernel_arbitrary.ts'
import { expectClose } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'
import { useWorkerPool } from '../testing/use_worker_pool.ts'
import { gemmGraph } from './gemm.ts'
import { topkScratchBytes } from './kernels.ts'
import { memoryLimitBytes, type Task, type WorkerPool } from './worker_pool.ts'

const open = useWorkerPool()
const counts = [1, 2, 3]

describe('tasks', () => {
  const [rows, m, k] = [24, 333, 7]
  const pre = floats(rows * m, uniform(1))

  /** Selects row by row, every worker with its own scratch. */
  async function select(pool: WorkerPool) {
    const memory = await pool.memory({ bytes: 200_000 })
    const at = memory.alloc(rows * m * 4)
    memory.f32(at, rows * m).set(pre)
    const [index, value] = [memory.alloc(rows * k * 4), memory.alloc(rows * k * 4)]
    const stride = topkScratchBytes(m, k) + 64
    const scratch = { base: memory.alloc(pool.count * stride), stride }
    await pool.run(
      Array.from({ length: rows }, (_, r): Task => {
        const to = r * k * 4
        const args = [at + r * m * 4, m, 1, m, 0, k, 1, index + to, value + to, scratch]
        return [{ kernel: 'topkRows', memory: memory.id, args }]
      }),
    )
    return { index: memory.i32(index, rows * k).slice(), value: memory.f32(value, rows * k).slice() }
  }

  test.each(counts)('%i workers give what the oracle gives', async count => {
    const { index, value } = await select(await open(count))
    const expected = oracle.topkRows({ pre, rows, m, k, relu: true })
    expect([...index]).toEqual([...expected.index])
    expect([...value]).toEqual([...expected.value])
  })

  test('kept lists run every time they are passed, more of them than stay with the worker pool too', async () => {
    const pool = await open(2)
    const memory = await pool.memory({ bytes: 8192 })
    const count = 80
    const values = memory.alloc(count * 4)
    const lists = Array.from({ length: count }, (_, i): Task[] => [
      [{ kernel: 'scaleRange', memory: memory.id, args: [values + i * 4, 1, 2] }],
    ])
    memory.f32(values, count).fill(1)
    const bad: Task[] = [[{ kernel: 'none', memory: memory.id, args: [] }]]
    for (let round = 0; round < 3; round++) {
      for (const list of lists) await pool.run(list, { keep: true })
      await expect(pool.run(bad, { keep: true })).rejects.toThrow(/kernel none/)
      // A list used again stays.
      await pool.run(lists[0], { keep: true })
    }
    expect([...memory.f32(values, count)]).toEqual(Array.from({ length: count }, (_, i) => (i ? 8 : 64)))
  })

  test('the steps of a task run in order', async () => {
    const pool = await open(2)
    const memory = await pool.memory({ bytes: 4096 })
    const [values, one] = [memory.alloc(64 * 4), memory.alloc(64)]
    memory.f32(values, 64).fill(1)
    memory.f32(one, 1).fill(1)
    const kernel = (name: string, ...args: number[]) => ({ kernel: name, memory: memory.id, args })
    await pool.run(
      Array.from({ length: 64 }, (_, i): Task => {
        const value = values + i * 4
        return [
          kernel('scaleRange', value, 1, 3),
          kernel('addRange', value, one, 1),
          kernel('scaleRange', value, 1, 5),
        ]
      }),
    )
    // (1·3 + 1)·5; the other orders give 16 or 30.
    expect(memory.f32(values, 64).every(value => value === 20)).toBe(true)
  })

  test('each worker has its own stretch of scratch', async () => {
    const pool = await open(3)
    const memory = await pool.memory({ bytes: 4096 })
    const counters = memory.alloc(3 * 64)
    memory.f32(counters, 48).fill(0)
    const one = memory.alloc(64)
    memory.f32(one, 1).fill(1)
    const args = [{ base: counters, stride: 64 }, one, 1]
    await pool.run(Array.from({ length: 90 }, (): Task => [{ kernel: 'addRange', memory: memory.id, args }]))
    const all = memory.f32(counters, 48)
    expect(all[0] + all[16] + all[32]).toBe(90)
    expect(all.filter((_, i) => i % 16 !== 0).every(value => value === 0)).toBe(true)
  })

  test('a task can be given to one worker', async () => {
    const pool = await open(3)
    const memory = await pool.memory({ bytes: 4096 })
    const counters = memory.alloc(3 * 64)
    const one = memory.alloc(64)
    memory.f32(one, 1).fill(1)
    const args = [{ base: counters, stride: 64 }, one, 1]
    const task: Task = [{ kernel: 'addRange', memory: memory.id, args }]
    await pool.run([task, task, task, task], { worker: 2 })
    expect([0, 16, 32].map(i => memory.f32(counters, 48)[i])).toEqual([0, 0, 4])
  })

  test('an empty list of tasks is done at once', async () => {
    const pool = await open(2)
    await expect(pool.run([])).resolves.toBeUndefined()
  })
})

describe('copies', () => {
  test.each(counts)('across memories, with and without rows, on %i workers', async count => {
    const pool = await open(count)
    const [from, to] = [await pool.memory({ bytes: 8192 }), await pool.memory({ bytes: 8192 })]
    const [n, width] = [12, 5]
    const random = uniform(3)
    const data = floats(n * width, random)
    const picked = integers(n, n, random)
    const source = from.alloc(n * width * 4)
    from.f32(source, n * width).set(data)
    const [gathered, copied, rows] = [to.alloc(n * width * 4), to.alloc(n * width * 4), to.alloc(n * 4)]
    to.i32(rows, n).set(picked)
    const place = (memory: { id: number }, offset: number) => ({ memory: memory.id, offset })
    await pool.run([
      [
        {
          copy: {
            from: place(from, source),
            to: place(to, gathered),
            rows: place(to, rows),
            count: n,
            width,
          },
        },
      ],
      [{ copy: { from: place(from, source), to: place(to, copied), count: n, width } }],
    ])
    expect([...to.f32(copied, n * width)]).toEqual([...data])
    const expected = [...picked].flatMap(row => [...data.subarray(row * width, (row + 1) * width)])
    expect([...to.f32(gathered, n * width)]).toEqual(expected)
  })

  test('widen bfloat16 and round float32 to it, to nearest with ties to even', async () => {
    const pool = await open(2)
    const memory = await pool.memory({ bytes: 8192 })
    // As bits: 1 and one step of bfloat16 above it; a tie that rounds down, one that rounds up, just over a tie;
    // the largest float32, infinity, a NaN whose upper half alone would be infinity, −0.
    const bits = [
      0x3f800000, 0x3f810000, 0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0x7f800000, 0x7f800001,
      0x80000000,
    ]
    const rounded = [0x3f80, 0x3f81, 0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x7f80, 0x7fc0, 0x8000]
    const n = bits.length
    const [wide, narrow, again, picked, rows] = [n * 4, n * 2, n * 4, 2 * 3 * 4, 8].map(bytes =>
      memory.alloc(bytes),
    )
    memory.u32(wide, n).set(bits)
    memory.i32(rows, 2).set([2, 0])
    const place = (offset: number) => ({ memory: memory.id, offset })
    const stored = { ...place(narrow), dtype: 'bfloat16' as const }
    await pool.run([
      [
        { copy: { from: place(wide), to: stored, count: 3, width: 3 } },
        { copy: { from: stored, to: place(again), count: 3, width: 3 } },
        { copy: { from: stored, to: place(picked), rows: place(rows), count: 2, width: 3 } },
      ],
    ])
    expect([...new Uint16Array(memory.memory.buffer, narrow, n)]).toEqual(rounded)
    const widened = rounded.map(value => (value << 16) >>> 0)
    expect([...memory.u32(again, n)]).toEqual(widened)
    expect([...memory.u32(picked, 6)]).toEqual([...widened.slice(6), ...widened.slice(0, 3)])
  })

  test('of columns between matrices of other widths leave the other columns alone', async () => {
    const pool = await open(2)
    const memory = await pool.memory({ bytes: 8192 })
    const [n, wide, narrow] = [6, 7, 3]
    const data = floats(n * wide, uniform(4))
    const [source, target, rows] = [memory.alloc(n * wide * 4), memory.alloc(n * 5 * 4), memory.alloc(n * 4)]
    memory.f32(source, n * wide).set(data)
    memory.f32(target, n * 5).fill(9)
    memory.i32(rows, n).set([5, 4, 3, 2, 1, 0])
    const place = (offset: number) => ({ memory: memory.id, offset })
    await pool.run([
      [
        {
          copy: {
            from: place(source + 2 * 4),
            to: place(target + 4),
            rows: place(rows),
            count: n,
            width: narrow,
            fromStride: wide,
            toStride: 5,
          },
        },
      ],
    ])
    const expected = Array.from({ length: n }, (_, i) => {
      const from = (n - 1 - i) * wide + 2
      return [9, ...data.subarray(from, from + narrow), 9]
    }).flat()
    expect([...memory.f32(target, n * 5)]).toEqual(expected)
  })
})

describe('sessions', () => {
  const [rows, chunk, d, m] = [96, 16, 24, 40]
  const a = floats(rows * d, uniform(5))
  const b = floats(m * d, uniform(6))

  async function product(pool: WorkerPool): Promise<Float32Array> {
    const memory = await pool.memory({ bytes: 100_000 })
    const [pa, pb, py] = [memory.alloc(a.byteLength), memory.alloc(b.byteLength), memory.alloc(rows * m * 4)]
    memory.f32(pa, a.length).set(a)
    memory.f32(pb, b.length).set(b)
    const session = await pool.session({ graph: gemmGraph() })
    const view = (offset: number, ...shape: number[]) => ({
      memory: memory.id,
      offset,
      dtype: 'float32' as const,
      shape,
    })
    await pool.run(
      Array.from(
        { length: rows / chunk },
        (_, c): Task => [
          {
            session,
            inputs: { a: view(pa + c * chunk * d * 4, chunk, d), b: view(pb, m, d) },
            outputs: { y: view(py + c * chunk * m * 4, chunk, m) },
          },
        ],
      ),
    )
    await pool.closeSession(session)
    return memory.f32(py, rows * m).slice()
  }

  test('the product of two matrices is right, and the same bits on 1, 2 and 3 workers', async () => {
    const results: Float32Array[] = []
    for (const count of counts) results.push(await product(await open(count)))
    const wanted = Float64Array.from({ length: rows * m }, (_, p) => {
      let sum = 0
      for (let j = 0; j < d; j++) sum += a[Math.floor(p / m) * d + j] * b[(p % m) * d + j]
      return sum
    })
    expectClose(results[0], wanted)
    for (const result of results) expect([...result]).toEqual([...results[0]])
  })

  test('a closed session is gone', async () => {
    const pool = await open(1)
    const session = await pool.session({ graph: gemmGraph() })
    await pool.closeSession(session)
    await expect(pool.run([[{ session, inputs: {}, outputs: {} }]])).rejects.toThrow(/no session/)
  })
})

describe('shared memory', () => {
  test('pointers are aligned, never 0, and freed by reset', async () => {
    const pool = await open(1)
    const memory = await pool.memory({ bytes: 10_000 })
    const first = memory.alloc(3)
    expect(first).toBeGreaterThan(0)
    const mark = memory.mark()
    const second = memory.alloc(10)
    expect(second % 64).toBe(0)
    expect(second).toBeGreaterThanOrEqual(first + 3)
    expect(memory.alloc(8, 8) % 8).toBe(0)
    memory.reset(mark)
    expect(memory.alloc(10)).toBe(second)
  })

  test('holds what was asked for, and says when it is full', async () => {
    const pool = await open(1)
    const memory = await pool.memory({ bytes: 100_000 })
    memory.alloc(100_000)
    expect(() => memory.alloc(1_000_000)).toThrow(/full: 1000000 bytes asked/)
  })

  test('more than a WebAssembly memory can hold is refused', async () => {
    const pool = await open(1)
    await expect(pool.memory({ bytes: memoryLimitBytes + 1 })).rejects.toThrow(/expected: at most 4294901760/)
  })
})

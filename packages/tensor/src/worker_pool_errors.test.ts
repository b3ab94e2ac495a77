// Worker errors are reported and survived, and the pool closes once.
import { describe, expect, test } from 'vitest'
import { useWorkerPool } from '../testing/use_worker_pool.ts'
import { gemmGraph } from './gemm.ts'
import { openWorkerPool, type Task, type WorkerPool } from './worker_pool.ts'

const open = useWorkerPool()

describe('errors', () => {
  /** The workers still compute. */
  async function expectAlive(pool: WorkerPool): Promise<void> {
    const memory = await pool.memory({ bytes: 4096 })
    const values = memory.alloc(40)
    memory.f32(values, 10).fill(2)
    const scale = (i: number): Task => [
      { kernel: 'scaleRange', memory: memory.id, args: [values + i * 4, 1, 3] },
    ]
    await pool.run(Array.from({ length: 10 }, (_, i) => scale(i)))
    expect(memory.f32(values, 10).every(value => value === 6)).toBe(true)
    await pool.release(memory)
  }

  test('a kernel that does not exist is named', async () => {
    const pool = await open(2)
    const { id } = await pool.memory({ bytes: 4096 })
    await expect(pool.run([[{ kernel: 'sortRows', memory: id, args: [] }]])).rejects.toThrow(
      // The message itself, without the name of its class.
      /^(?!Error).*kernel sortRows/,
    )
    await expectAlive(pool)
  })

  test('a copy that rounds writes its own rows and no element more', async () => {
    const pool = await open(1)
    const memory = await pool.memory({ bytes: 4096 })
    const [wide, narrow] = [memory.alloc(64), memory.alloc(64)]
    const bits = (offset: number) => new Uint16Array(memory.memory.buffer, offset, 32)
    memory.f32(wide, 16).fill(1.5)
    for (const [from, to, offset] of [
      ['float32', 'bfloat16', narrow],
      ['bfloat16', 'float32', wide],
    ] as const) {
      bits(offset).fill(0x1234)
      const place = (dtype: typeof from | typeof to) => ({
        memory: memory.id,
        offset: dtype === 'float32' ? wide : narrow,
        dtype,
      })
      await pool.run([[{ copy: { from: place(from), to: place(to), count: 2, width: 3 } }]])
      const size = to === 'bfloat16' ? 6 : 12
      expect(bits(offset)[size - 1]).toBe(0x3fc0)
      expect([...bits(offset).subarray(size)]).toEqual(new Array(32 - size).fill(0x1234))
    }
  })

  test('a memory that was released is named', async () => {
    const pool = await open(2)
    const memory = await pool.memory({ bytes: 4096 })
    await pool.release(memory)
    const task: Task = [{ kernel: 'scaleRange', memory: memory.id, args: [65_536, 1, 1] }]
    await expect(pool.run([task])).rejects.toThrow(/shared memory/)
    await expectAlive(pool)
  })

  test('a kernel that leaves the memory ends its task with an error', async () => {
    const pool = await open(2)
    const { id, memory } = await pool.memory({ bytes: 4096 })
    const beyond = memory.buffer.byteLength - 8
    const task: Task = [{ kernel: 'scaleRange', memory: id, args: [beyond, 64, 1] }]
    await expect(pool.run([task])).rejects.toThrow(/out of bounds/)
    await expectAlive(pool)
  })

  test('a graph that does not fit its inputs is an error of that run only', async () => {
    const pool = await open(2)
    const memory = await pool.memory({ bytes: 4096 })
    const session = await pool.session({ graph: gemmGraph() })
    const view = (...shape: number[]) => ({
      memory: memory.id,
      offset: 65_536,
      dtype: 'float32' as const,
      shape,
    })
    const step = { session, inputs: { a: view(2, 3), b: view(2, 4) }, outputs: { y: view(2, 2) } }
    await expect(pool.run([[step]])).rejects.toThrow(/Gemm|dimension|mismatch/i)
    await expectAlive(pool)
  })

  test('bytes that are no graph are refused', async () => {
    const pool = await open(2)
    await expect(pool.session({ graph: Uint8Array.of(1, 2, 3) })).rejects.toThrow(/model|protobuf|graph/i)
    await expectAlive(pool)
  })

  test('after an error the tasks not yet begun are left out', async () => {
    const pool = await open(1)
    const memory = await pool.memory({ bytes: 4096 })
    const values = memory.alloc(4)
    memory.f32(values, 1).fill(2)
    const good: Task = [{ kernel: 'scaleRange', memory: memory.id, args: [values, 1, 3] }]
    const bad: Task = [{ kernel: 'none', memory: memory.id, args: [] }]
    await expect(pool.run([good, bad, good])).rejects.toThrow(/kernel none/)
    expect(memory.f32(values, 1)[0]).toBe(6)
  })

  test('one list of tasks at a time', async () => {
    const pool = await open(1)
    const first = pool.run([])
    await expect(pool.run([])).rejects.toThrow(/already run/)
    await first
    await expectAlive(pool)
  })
})

describe('copies that leave their source', () => {
  test('name the row', async () => {
    const pool = await open(1)
    const memory = await pool.memory({ bytes: 8192 })
    const [from, to, rows] = [memory.alloc(64), memory.alloc(64), memory.alloc(8)]
    for (const row of [1_000_000, -20_000]) {
      memory.i32(rows, 2).set([0, row])
      const place = (offset: number) => ({ memory: memory.id, offset })
      const copy = { from: place(from), to: place(to), rows: place(rows), count: 2, width: 4 }
      await expect(pool.run([[{ copy }]])).rejects.toThrow(`no row ${row} to copy`)
    }
  })
})

describe('close', () => {
  test('lets the tasks that run come to their end', async () => {
    const pool = await openWorkerPool({ count: 2 })
    const memory = await pool.memory({ bytes: 4096 })
    const values = memory.alloc(64 * 4)
    memory.f32(values, 64).fill(2)
    const running = pool.run(
      Array.from(
        { length: 64 },
        (_, i): Task => [{ kernel: 'scaleRange', memory: memory.id, args: [values + i * 4, 1, 3] }],
      ),
    )
    await Promise.all([pool.close(), pool.close()])
    await running
    expect(memory.f32(values, 64).every(value => value === 6)).toBe(true)
  })

  test('ends the workers, twice is once, and nothing runs after it', async () => {
    const pool = await openWorkerPool({ count: 2 })
    await pool.session({ graph: gemmGraph() })
    await pool.close()
    await pool.close()
    await expect(pool.run([])).rejects.toThrow(/closed/)
    await expect(pool.memory({ bytes: 64 })).rejects.toThrow(/closed/)
  })
})

// The buffer over a table of activations: bfloat16 storage, the outlier rule, NaN, nothing usable, bounded memory.
import { InputError } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTable, randomContexts, type Table } from '../../testing/table_forward.ts'
import type { ContextSource } from '../sources.ts'
import { createActivationBuffer } from './activation_buffer.ts'
import { addMoments, readMoments, writeMoments } from './hook_rows.ts'

const dIn = 16
const vocabulary = 200
const contextSize = 10
const contexts = 7
let pool: WorkerPool
let table: Table
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  table = await createTable({ pool, vocabulary, dIn, hooks: ['a', 'b'], contextSize })
})
afterAll(() => pool.close())

const source = randomContexts({ vocabulary, contextSize, contexts: 90 })
type Options = Parameters<typeof createActivationBuffer>[0]
const open = (options: Partial<Options> = {}) =>
  createActivationBuffer({
    pool,
    forward: table.forward,
    contextsPerCall: 3,
    hooks: ['a', 'b'],
    source,
    contexts,
    seed: 3,
    ...options,
  })
type Window = Awaited<ReturnType<typeof open>>

/** The usable rows of the buffer in its order, as a learner gets them: by a copy. */
async function rowsOf(buffer: Window, count: number, hook = 'a'): Promise<number[]> {
  const memory = await pool.memory({ bytes: count * dIn * 4 + 64 })
  const offset = memory.alloc(count * dIn * 4)
  const to = { memory: memory.id, offset }
  await pool.run([[{ copy: { from: buffer.activations(hook), to, rows: buffer.rows, count, width: dIn } }]])
  const rows = [...memory.f32(offset, count * dIn)]
  await pool.release(memory)
  return rows
}

/** Changes rows of the table while `use` runs. */
async function withRows(changes: Record<number, (value: number) => number>, use: () => Promise<void>) {
  const before = table.rows.slice()
  for (const [row, change] of Object.entries(changes)) {
    const at = Number(row) * dIn
    for (let j = 0; j < dIn; j++) table.rows[at + j] = change(table.rows[at + j])
  }
  try {
    await use()
  } finally {
    table.rows.set(before)
  }
}

/** The token at row 15 of a buffer. */
function tokenOf(index: number): number {
  const ids = new Int32Array(contexts * contextSize)
  source.read({ first: index * contexts, count: contexts, ids, mask: new Uint8Array(ids.length) })
  return ids[15]
}

const bf16 = (value: number): number => {
  const bits = new Uint32Array(Float32Array.of(value).buffer)
  bits[0] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff_0000
  return new Float32Array(bits.buffer)[0]
}

describe('stored as bfloat16', () => {
  test('a window holds the same tokens in the same order, each number rounded, and sums over what it holds', async () => {
    const [wide, narrow] = [await open(), await open({ storedDtype: 'bfloat16' })]
    for (const index of [0, 5]) {
      const count = await wide.fill(index)
      expect(await narrow.fill(index)).toBe(count)
      const rows = await rowsOf(narrow, count, 'b')
      expect(rows).toEqual((await rowsOf(wide, count, 'b')).map(bf16))
      const { tokens, sum, sumSquares, sumNorms } = narrow.moments('b')
      expect(tokens).toBe(count)
      expect(sumSquares).toBeCloseTo(
        rows.reduce((total, value) => total + value * value, 0),
        8,
      )
      expect(sum[3]).toBeCloseTo(
        rows.reduce((total, value, i) => (i % dIn === 3 ? total + value : total), 0),
        8,
      )
      expect(sumNorms).not.toBe(wide.moments('b').sumNorms)
    }
    for (const buffer of [wide, narrow]) await buffer.close()
  })

  test('takes half the memory of float32, whatever the number of tokens read', async () => {
    const sizes = { float32: 0, bfloat16: 0 }
    for (const storedDtype of ['float32', 'bfloat16'] as const) {
      const counting: WorkerPool = {
        ...pool,
        memory(options) {
          sizes[storedDtype] += options.bytes
          return pool.memory(options)
        },
      }
      const buffer = await open({ pool: counting, storedDtype, contexts: 3000, hooks: ['a'] })
      const opened = sizes[storedDtype]
      for (let index = 0; index < 3; index++) await buffer.fill(index)
      expect(sizes[storedDtype]).toBe(opened)
      await buffer.close()
    }
    const rows = 3000 * contextSize
    // Besides the rows: a mask, an id, a norm and an order per token, and scratch of fixed size.
    expect(sizes.float32).toBeLessThan(rows * dIn * 4 + rows * 17 + 100_000)
    expect(sizes.bfloat16).toBeLessThan(rows * dIn * 2 + rows * 17 + 400_000)
  })
})

test('sums over a window of many tokens are those of its rows, in either number type', async () => {
  for (const storedDtype of ['float32', 'bfloat16'] as const) {
    const buffer = await open({ storedDtype, contexts: 1300 })
    const count = await buffer.fill(1)
    const rows = await rowsOf(buffer, count, 'b')
    const { tokens, sum, sumSquares, sumNorms } = buffer.moments('b')
    expect(tokens).toBe(count)
    expect(sumSquares / rows.reduce((total, value) => total + value * value, 0)).toBeCloseTo(1, 9)
    for (const j of [0, dIn - 1]) {
      expect(sum[j]).toBeCloseTo(
        rows.reduce((total, value, i) => (i % dIn === j ? total + value : total), 0),
        6,
      )
    }
    let norms = 0
    for (let r = 0; r < count; r++) norms += Math.hypot(...rows.slice(r * dIn, (r + 1) * dIn))
    expect(sumNorms / norms).toBeCloseTo(1, 9)
    // Two buffers together.
    const both = addMoments(addMoments(undefined, buffer.moments('b')), buffer.moments('b'))
    expect(both.tokens).toBe(2 * tokens)
    expect([both.sumSquares, both.sumNorms, both.sum[3]]).toEqual([2 * sumSquares, 2 * sumNorms, 2 * sum[3]])
    expect(readMoments(writeMoments(both))).toEqual(both)
    await buffer.close()
  }
})

describe('the outlier rule', () => {
  test('drops tokens beyond the multiple of the first window’s median for all hook points, and counts them', async () => {
    const [one, two] = [tokenOf(0), tokenOf(3)]
    await withRows({ [one]: value => value * 50, [two]: value => value * 60 }, async () => {
      const plain = await open()
      const ruled = await open({ outlierNormMultiple: 10 })
      for (const index of [0, 3]) {
        const all = await plain.fill(index)
        const kept = await ruled.fill(index)
        const ids = new Int32Array(contexts * contextSize)
        const mask = new Uint8Array(ids.length)
        source.read({ first: index * contexts, count: contexts, ids, mask })
        const outliers = ids.filter((id, i) => mask[i] === 1 && (id === one || id === two)).length
        expect(outliers).toBeGreaterThan(0)
        expect(all - kept).toBe(outliers)
        for (const hook of ['a', 'b']) expect(ruled.outliers(hook)).toBe(outliers)
        expect(plain.outliers('a')).toBe(0)
        expect(ruled.moments('a').tokens).toBe(kept)
        const norms = await rowsOf(ruled, kept)
        expect(Math.max(...norms.map(Math.abs))).toBeLessThan(10)
      }
      for (const buffer of [plain, ruled]) await buffer.close()
    })
  })

  test('a window reached by a resume is the one of the whole run, in either number type', async () => {
    await withRows({ [tokenOf(2)]: value => value * 4 }, async () => {
      for (const storedDtype of ['float32', 'bfloat16'] as const) {
        const options = { outlierNormMultiple: 1.3, storedDtype }
        const whole = await open(options)
        await whole.fill(0)
        for (const index of [1, 2]) {
          const count = await whole.fill(index)
          expect(whole.outliers('a')).toBeGreaterThan(0)
          const resumed = await open(options)
          expect(await resumed.fill(index)).toBe(count)
          expect(await rowsOf(resumed, count)).toEqual(await rowsOf(whole, count))
          expect(resumed.moments('b')).toEqual(whole.moments('b'))
          await resumed.close()
        }
        await whole.close()
      }
    })
  })

  test('a token beyond the limit of one hook point alone is dropped for both and counted at that one', async () => {
    const two = await createTable({ pool, vocabulary, dIn, hooks: ['a', 'b'], contextSize })
    const outlier = tokenOf(0)
    two.rows.fill(100, outlier * dIn, (outlier + 1) * dIn)
    const forward = {
      ...table.forward,
      tasks: (options: Parameters<Table['forward']['tasks']>[0]) => {
        const { a, b, input_ids } = options.places
        return [
          ...table.forward.tasks({ ...options, places: { a, input_ids } }),
          ...two.forward.tasks({ ...options, places: { b, input_ids } }),
        ]
      },
    }
    const [plain, ruled] = [await open({ forward }), await open({ forward, outlierNormMultiple: 10 })]
    const [all, kept] = [await plain.fill(0), await ruled.fill(0)]
    expect(ruled.outliers('a')).toBe(0)
    expect(ruled.outliers('b')).toBe(all - kept)
    expect(all - kept).toBeGreaterThan(0)
    expect(ruled.moments('a').tokens).toBe(kept)
    for (const buffer of [plain, ruled]) await buffer.close()
  })

  test('that leaves nothing says so and names its field', async () => {
    const buffer = await open({ outlierNormMultiple: 1e-3 })
    await expect(buffer.fill(0)).rejects.toThrow(/drops every token.*outlier_norm_multiple; found: 0.001;/)
    await buffer.close()
  })
})

describe('bad activations', () => {
  test.each([
    ['NaN', 0],
    ['NaN', 5],
    ['infinity', 0],
  ])(
    '%s is refused with file, hook point, context and token (outlier multiple %i)',
    async (kind, multiple) => {
      const value = kind === 'NaN' ? Number.NaN : Number.NEGATIVE_INFINITY
      await withRows({ [vocabulary]: () => value }, async () => {
        const poisoned: ContextSource = {
          ...source,
          read(options) {
            source.read(options)
            if (options.first > 0) options.ids[2 * contextSize + 4] = vocabulary
            // A masked token may be anything.
            options.ids[0] = vocabulary
          },
          locate: position => ({ file: 'store/train.tokens.bin', context: position + 1000 }),
        }
        const buffer = await open({ source: poisoned, outlierNormMultiple: multiple })
        await buffer.fill(0)
        const error = await buffer.fill(1).catch(thrown => thrown)
        expect(error).toBeInstanceOf(InputError)
        const { file, field, found } = (error as InputError).details
        expect({ file, field, found }).toEqual({
          file: 'store/train.tokens.bin',
          field: 'a',
          found: `context ${contexts + 2 + 1000}, token 4`,
        })
        await buffer.close()
      })
    },
  )

  test('a window without a usable token is refused', async () => {
    const masked: ContextSource = {
      ...source,
      read(options) {
        source.read(options)
        options.mask.fill(0)
      },
    }
    const locate = (position: number) => ({ file: `store ${position}`, context: position })
    const buffer = await open({ source: { ...masked, locate } })
    await expect(buffer.fill(2)).rejects.toThrow(
      /every token of a buffer is masked.*file: store 14;.*0 usable of 70 tokens/,
    )
    await buffer.close()
  })
})

// Cached activations: what training reads from a cache is what it would have captured, bit for bit; a killed
// writer can continue; caches that are damaged, hostile or of something else are refused.
import { spawn } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { InputError, openSafetensors } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createTable, randomContexts, type Table } from '../../testing/table_forward.ts'
import { type ActivationBuffer, createActivationBuffer } from '../buffer/activation_buffer.ts'
import { openActivationCache } from './cache_buffer.ts'
import { indexFile, readIndex, shardFile, tokensOf, writeIndex } from './cache_index.ts'
import { type BufferRequest, type CachedActivations, checkCachedActivations } from './cached.ts'
import { writeActivationCache } from './write_cache.ts'

const dIn = 16
const vocabulary = 200
const contextSize = 10
const contexts = 7
const hooks = ['a', 'b']
let pool: WorkerPool
let table: Table
let folder: string
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  table = await createTable({ pool, vocabulary, dIn, hooks, contextSize })
})
afterAll(() => pool.close())
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mistudio-cache-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const source = randomContexts({ vocabulary, contextSize, contexts: 90 })
type Options = Parameters<typeof writeActivationCache>[0]
const write = (options: Partial<Omit<Options, 'origin'>> & { origin?: Partial<Options['origin']> } = {}) =>
  writeActivationCache({
    pool,
    forward: table.forward,
    contextsPerCall: 3,
    source,
    tokens: 250,
    out: join(folder, 'cache'),
    ...options,
    origin: {
      model: 'table',
      modelFingerprint: 'f00d',
      tokenizerFingerprint: 'beef',
      hooks,
      dtype: 'float32',
      windowContexts: contexts,
      seed: 3,
      datasets: ['random'],
      datasetWeights: null,
      outlierNormMultiple: 0,
      ...options.origin,
    },
  })
const capture = (options: Partial<BufferRequest> = {}) =>
  createActivationBuffer({
    pool,
    forward: table.forward,
    contextsPerCall: 3,
    hooks,
    source,
    contexts,
    seed: 3,
    ...options,
  })
const openBuffer = (cache: CachedActivations, options: Partial<BufferRequest> = {}) =>
  cache.openBuffer({ pool, hooks, contexts, seed: 3, ...options })

/** The buffer's rows in its order, as a learner gets them. */
async function rowsOf(buffer: ActivationBuffer, count: number, hook = 'a'): Promise<Float32Array> {
  const memory = await pool.memory({ bytes: count * dIn * 4 + 64 })
  const offset = memory.alloc(count * dIn * 4)
  const to = { memory: memory.id, offset }
  await pool.run([[{ copy: { from: buffer.activations(hook), to, rows: buffer.rows, count, width: dIn } }]])
  const rows = Float32Array.from(memory.f32(offset, count * dIn))
  await pool.release(memory)
  return rows
}
const sorted = (rows: Float32Array) =>
  Array.from({ length: rows.length / dIn }, (_, i) => rows.subarray(i * dIn, (i + 1) * dIn).join()).sort()

describe('training from a cache', () => {
  test.each([
    ['float32', 0],
    ['bfloat16', 0],
    ['float32', 1.2],
  ] as const)(
    'in %s with outlier multiple %f reads what a capture gives: rows, order, sums and counts',
    async (dtype, multiple) => {
      await write({ origin: { dtype, outlierNormMultiple: multiple } })
      const cache = openActivationCache({ dir: join(folder, 'cache') })
      const shards = cache.info.shards.length
      expect(shards).toBe(multiple === 0 ? 4 : shards)
      const read = await openBuffer(cache, { storedDtype: dtype, outlierNormMultiple: multiple })
      const captured = await capture({ storedDtype: dtype, outlierNormMultiple: multiple })
      for (let index = 0; index < shards; index++) {
        const count = await captured.fill(index)
        expect(await read.fill(index)).toBe(count)
        for (const hook of hooks) {
          expect(await rowsOf(read, count, hook)).toEqual(await rowsOf(captured, count, hook))
          expect(read.moments(hook)).toEqual(captured.moments(hook))
          expect(read.outliers(hook)).toBe(captured.outliers(hook))
        }
      }
      if (multiple > 0) expect(read.outliers('a')).toBeGreaterThan(0)
      for (const buffer of [read, captured]) await buffer.close()
    },
  )

  test('comes round in another order that the position alone decides, and another seed has its own', async () => {
    await write()
    const cache = openActivationCache({ dir: join(folder, 'cache') })
    const shards = cache.info.shards.length
    const one = await openBuffer(cache)
    const passes: Float32Array[][] = []
    for (let pass = 0; pass < 3; pass++) {
      passes.push([])
      for (let s = 0; s < shards; s++) passes[pass].push(await rowsOf(one, await one.fill(pass * shards + s)))
    }
    const all = (pass: Float32Array[]) => pass.flatMap(sorted).sort()
    for (const pass of passes.slice(1)) {
      expect(all(pass)).toEqual(all(passes[0]))
      expect(pass).not.toEqual(passes[0])
      // Also inside each shard.
      expect(pass.every(rows => passes[0].every(first => first.join() !== rows.join()))).toBe(true)
    }
    const resumed = await openBuffer(cache)
    expect(await rowsOf(resumed, await resumed.fill(2 * shards + 1))).toEqual(passes[2][1])
    const other = await openBuffer(cache, { seed: 4 })
    expect(await rowsOf(other, await other.fill(0))).not.toEqual(passes[0][0])
    for (const buffer of [one, resumed, other]) await buffer.close()
  })

  test('a float32 cache may be kept as bfloat16, and the outlier rule applied to a cache without one', async () => {
    await write()
    const cache = openActivationCache({ dir: join(folder, 'cache') })
    const read = await openBuffer(cache, { storedDtype: 'bfloat16', outlierNormMultiple: 1.2 })
    const captured = await capture({ storedDtype: 'bfloat16', outlierNormMultiple: 1.2 })
    const count = await captured.fill(2)
    // Reached without the earlier buffers, as by a resume.
    expect(await read.fill(2)).toBe(count)
    expect(sorted(await rowsOf(read, count))).toEqual(sorted(await rowsOf(captured, count)))
    expect(read.outliers('b')).toBe(captured.outliers('b'))
    expect(read.moments('b').sumSquares).toBeCloseTo(captured.moments('b').sumSquares, 8)
    for (const buffer of [read, captured]) await buffer.close()
  })

  test('memory is that of one shard', async () => {
    let bytes = 0
    const counting: WorkerPool = {
      ...pool,
      memory(options) {
        bytes += options.bytes
        return pool.memory(options)
      },
    }
    await write({ tokens: 900 })
    const cache = openActivationCache({ dir: join(folder, 'cache') })
    const buffer = await openBuffer(cache, { pool: counting })
    const opened = bytes
    for (let index = 0; index < 3; index++) await buffer.fill(index)
    expect(bytes).toBe(opened)
    expect(opened).toBeLessThan(hooks.length * contexts * contextSize * (dIn * 4 + 32) + 4096)
    await buffer.close()
  })
})

describe('writing a cache', () => {
  test('stopped after any shard and begun again ends with the same files', async () => {
    const whole = await write({ out: join(folder, 'whole') })
    expect(tokensOf(whole)).toBeGreaterThanOrEqual(250)
    for (const stopAfter of [0, 1, 3]) {
      const out = join(folder, `stopped ${stopAfter}`)
      let asked = 0
      const stopped = await write({ out, stopped: () => asked++ >= stopAfter })
      expect(stopped.complete).toBe(false)
      expect(stopped.shards.length).toBe(stopAfter)
      expect(() => openActivationCache({ dir: out })).toThrow(/not complete.*run the same `sae cache` again/)
      // What a killed writer leaves: a partial file, and a complete one that the index does not list yet.
      writeFileSync(`${shardFile(out, stopAfter)}.partial`, 'half')
      writeFileSync(shardFile(out, stopAfter), 'not named')
      expect(await write({ out })).toEqual(whole)
      expect(readdirSync(out)).toEqual(readdirSync(join(folder, 'whole')))
      for (const name of readdirSync(out)) {
        expect(readFileSync(join(out, name)).equals(readFileSync(join(folder, 'whole', name)))).toBe(true)
      }
    }
  })

  test('killed at any moment and begun again ends with the same files', async () => {
    const whole = join(folder, 'whole')
    const program = new URL('../../testing/cache_program.ts', import.meta.url).pathname
    const start = (out: string) => spawn(process.execPath, [program, out], { stdio: 'ignore' })
    const ended = (child: ReturnType<typeof start>) => new Promise(resolve => child.once('exit', resolve))
    expect(await ended(start(whole))).toBe(0)
    const out = join(folder, 'killed')
    let kills = 0
    for (let shards = 1; shards <= 7; shards += 3) {
      const child = start(out)
      const exit = ended(child)
      while (child.exitCode === null && written(out) < shards) await sleep(1)
      child.kill('SIGKILL')
      await exit
      kills++
    }
    expect(kills).toBe(3)
    expect(readIndex(out).complete).toBe(false)
    expect(await ended(start(out))).toBe(0)
    expect(readdirSync(out)).toEqual(readdirSync(whole))
    for (const name of readdirSync(out)) {
      expect(readFileSync(join(out, name)).equals(readFileSync(join(whole, name)))).toBe(true)
    }

    function written(dir: string): number {
      try {
        return readIndex(dir).shards.length
      } catch {
        return -1
      }
    }
  }, 60_000)

  test('that is complete is not done again, and more tokens go on behind it', async () => {
    const first = await write()
    const again = await write({ onProgress: () => expect.unreachable() })
    expect(again).toEqual(first)
    const more = await write({ tokens: 400 })
    expect(more.shards.slice(0, first.shards.length)).toEqual(first.shards)
    expect(tokensOf(more)).toBeGreaterThanOrEqual(400)
    expect(more.complete).toBe(true)
  })

  test('whose process died before it said that it was complete says so after all', async () => {
    const first = await write()
    const out = join(folder, 'cache')
    writeIndex(out, { ...first, complete: false })
    expect(await write({ onProgress: () => expect.unreachable() })).toEqual(first)
    expect(readIndex(out).complete).toBe(true)
  })

  test('of one token is one', async () => {
    const out = join(folder, 'one')
    const { shards } = await write({ tokens: 1, out })
    expect(readIndex(out)).toMatchObject({ tokensAsked: 1, complete: true, shards })
  })

  test('of something else into the same folder is refused with what differs', async () => {
    await write()
    await expect(write({ origin: { seed: 9 } })).rejects.toThrow(/seed.*found: .*9.*expected: .*3/)
    const taken = join(folder, 'taken')
    mkdirSync(taken)
    writeFileSync(join(taken, 'thesis.txt'), '')
    await expect(write({ out: taken })).rejects.toThrow(/the output path is already taken/)
  })
})

describe('a cache is refused', () => {
  const dir = () => join(folder, 'cache')
  const edit = (change: (record: Record<string, unknown>) => void) => {
    const record = JSON.parse(readFileSync(indexFile(dir()), 'utf8'))
    change(record)
    writeFileSync(indexFile(dir()), JSON.stringify(record))
  }

  test('when it is of another model, tokenizer or hook point, and both are named', async () => {
    await write()
    const cache = openActivationCache({ dir: dir() })
    const refusal = (options: Omit<Parameters<typeof checkCachedActivations>[0], 'cache'>) => {
      try {
        checkCachedActivations({ cache, ...options })
      } catch (error) {
        return (error as InputError).details
      }
      return undefined
    }
    expect(
      refusal({ hooks, model: { name: 'table', fingerprint: 'f00d' }, tokenizerFingerprint: 'beef' }),
    ).toBe(undefined)
    // A model may be moved: its contents count if they are known.
    expect(refusal({ model: { name: 'moved', fingerprint: 'f00d' } })).toBe(undefined)
    expect(refusal({ model: { name: 'other' } })).toMatchObject({
      field: 'model',
      found: 'table',
      expected: 'other',
    })
    expect(refusal({ model: { name: 'table', fingerprint: 'cafe' } })).toMatchObject({
      found: 'table (fingerprint f00d)',
      expected: 'table (fingerprint cafe)',
    })
    expect(refusal({ tokenizerFingerprint: 'cafe' })).toMatchObject({ found: 'beef', expected: 'cafe' })
    expect(refusal({ hooks: ['a', 'c'] })).toMatchObject({
      file: dir(),
      field: 'hook',
      found: 'c',
      expected: 'one of a, b',
    })
    await expect(openBuffer(cache, { hooks: ['c'] })).rejects.toThrow(/another hook point/)
  })

  test('when another outlier rule is asked for than it was made with', async () => {
    await write({ origin: { outlierNormMultiple: 1.2 } })
    const cache = openActivationCache({ dir: dir() })
    await expect(openBuffer(cache, { outlierNormMultiple: 2 })).rejects.toThrow(
      /outlier_norm_multiple.*1.2 in the cache.*expected: 2/,
    )
    await (await openBuffer(cache, { outlierNormMultiple: 0 })).close()
  })

  test.each<[string, (record: Record<string, unknown>) => void, RegExp]>([
    ['no format', record => delete record.format, /field: format/],
    ['another version', record => (record.format_version = 2), /format_version/],
    ['no hooks', record => (record.hooks = []), /hooks/],
    ['a hook twice', record => (record.hooks = [0, 1].map(() => ({ name: 'a', width: 4 }))), /hooks/],
    ['a width of nothing', record => (record.hooks = [{ name: 'a', width: 0 }]), /hooks/],
    [
      'another width',
      record => (record.hooks = hooks.map(name => ({ name, width: 17 }))),
      /found: F32 \[63,16\]; expected: F32 \[63,17\]/,
    ],
    ['an unknown dtype', record => (record.dtype = 'float8'), /dtype/],
    ['a huge window', record => (record.window_contexts = 2 ** 40), /window_contexts/],
    ['a negative seed', record => (record.seed = -1), /seed/],
    [
      'shards of more tokens than a window',
      record => (record.shards = [{ tokens: 10_000, outliers: [0, 0] }]),
      /more tokens than its buffer/,
    ],
    [
      'a shard of fewer tokens than its file',
      record => (record.shards = [{ tokens: 5, outliers: [0, 0] }]),
      /found: F32 \[63,16\]; expected: F32 \[5,16\]/,
    ],
    ['outliers of too few hooks', record => (record.shards = [{ tokens: 63, outliers: [0] }]), /shards/],
    ['no shards', record => (record.shards = []), /not complete/],
    [
      'a shard that is not there',
      record => (record.shards as unknown[]).push({ tokens: 63, outliers: [0, 0] }),
      /shard-00004/,
    ],
    ['a weight of zero', record => (record.dataset_weights = [0]), /dataset_weights/],
  ])('for an index with %s', async (_, change, message) => {
    await write()
    edit(change)
    const error = await Promise.resolve()
      .then(() => openActivationCache({ dir: dir() }))
      .catch(thrown => thrown)
    expect(error).toBeInstanceOf(InputError)
    expect((error as InputError).message).toMatch(message)
  })

  test('when a shard is cut short, and when an index is no JSON', async () => {
    await write()
    cpSync(dir(), join(folder, 'copy'), { recursive: true })
    truncateSync(shardFile(dir(), 1), 1000)
    expect(() => openActivationCache({ dir: dir() })).toThrow(/shard-00001.safetensors/)
    writeFileSync(indexFile(join(folder, 'copy')), '{')
    expect(() => openActivationCache({ dir: join(folder, 'copy') })).toThrow(/not JSON/)
    expect(() => openActivationCache({ dir: join(folder, 'nowhere') })).toThrow(/not a cache of activations/)
  })

  /** Overwrites numbers of a tensor in its file. */
  function overwrite(index: number, tensor: string, at: number, bytes: Uint8Array) {
    const path = shardFile(dir(), index)
    const file = openSafetensors(path)
    const { byteOffset } = file.tensors.get(tensor)!
    file.close()
    const all = readFileSync(path)
    all.set(bytes, byteOffset + at)
    writeFileSync(path, all)
  }

  test.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'when a row holds %f: file, hook point and row are named',
    async value => {
      await write()
      overwrite(2, 'b', (41 * dIn + 3) * 4, new Uint8Array(Float32Array.of(value).buffer))
      const buffer = await openBuffer(openActivationCache({ dir: dir() }))
      await buffer.fill(1)
      const error = await buffer.fill(2).catch(thrown => thrown)
      expect((error as InputError).details).toMatchObject({
        file: shardFile(dir(), 2),
        field: 'b',
        found: 'row 41',
      })
      await buffer.close()
    },
  )

  test('when its sums are not those of its rows', async () => {
    await write()
    overwrite(1, 'a/moments', dIn * 8, new Uint8Array(Float64Array.of(1).buffer))
    const buffer = await openBuffer(openActivationCache({ dir: dir() }))
    await expect(buffer.fill(1)).rejects.toThrow(/sums.*shard-00001.*field: a/)
    await buffer.close()
  })
})

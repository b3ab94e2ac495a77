// Activations cached by SAELens itself (oracle/saelens_cached_activations.py), read by position, and hostile files.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError, openSafetensors } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ActivationBuffer } from '../buffer/activation_buffer.ts'
import { openArrowStream } from './arrow_file.ts'
import type { CachedActivations } from './cached.ts'
import { openCachedActivations } from './open_cache.ts'
import { openSaeLensCache } from './saelens_cache.ts'

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/saelens_cached/${name}`, import.meta.url))
const hook = 'blocks.0.hook_resid_post'
const [contextSize, width, contexts] = [6, 8, 24]
const golden = openSafetensors(fixture('golden.safetensors'))
const ids = golden.read('token_ids').data
let pool: WorkerPool
let folder: string
beforeAll(async () => {
  pool = await openWorkerPool({ count: 1 })
})
afterAll(async () => {
  golden.close()
  await pool.close()
})
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mistudio-saelens-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function rowsOf(buffer: ActivationBuffer, count: number): Promise<string[]> {
  const memory = await pool.memory({ bytes: count * width * 4 + 64 })
  const offset = memory.alloc(count * width * 4)
  const to = { memory: memory.id, offset }
  await pool.run([[{ copy: { from: buffer.activations(hook), to, rows: buffer.rows, count, width } }]])
  const rows = memory.f32(offset, count * width)
  const texts = Array.from({ length: count }, (_, i) => rows.subarray(i * width, (i + 1) * width).join())
  await pool.release(memory)
  return texts
}
const open = (cache: CachedActivations, options: object = {}) =>
  cache.openBuffer({ pool, hooks: [hook], contexts: 4, seed: 1, ...options })
const goldenRows = (name: string) => {
  const all = golden.readF32(name)
  return Array.from({ length: contexts * contextSize }, (_, i) =>
    all.subarray(i * width, (i + 1) * width).join(),
  )
}

describe('a folder that SAELens cached', () => {
  test.each(['float32', 'float16'])(
    'in %s gives every token once a pass, with the numbers that SAELens reads',
    async dtype => {
      const cache = openCachedActivations({ dir: fixture(dtype) })
      expect(cache).toMatchObject({ kind: 'saelens', contexts, contextSize, model: null, tokens: 144 })
      expect(cache.hooks).toEqual([{ name: hook, width }])
      const buffer = await open(cache)
      const passes: string[][] = [[], []]
      for (let index = 0; index < 12; index++) {
        const count = await buffer.fill(index)
        expect(count).toBe(24)
        passes[Math.floor(index / 6)].push(...(await rowsOf(buffer, count)))
      }
      const expected = goldenRows(dtype).sort()
      for (const pass of passes) expect([...pass].sort()).toEqual(expected)
      expect(passes[0]).not.toEqual(passes[1])
      const resumed = await open(cache)
      const count = await resumed.fill(7)
      expect(await rowsOf(resumed, count)).toEqual(passes[1].slice(24, 48))
      for (const each of [buffer, resumed]) await each.close()
      cache.close()
    },
  )

  test('masks the tokens that are special', async () => {
    const special = Number(ids[5])
    const cache = openSaeLensCache({ dir: fixture('float32'), maskTokens: new Set([special]) })
    const buffer = await open(cache, { contexts })
    const count = await buffer.fill(0)
    const kept = goldenRows('float32').filter((_, i) => Number(ids[i]) !== special)
    expect(count).toBe(kept.length)
    expect(count).toBeLessThan(144)
    expect((await rowsOf(buffer, count)).sort()).toEqual(kept.sort())
    await buffer.close()
    cache.close()
  })

  test('may be kept as bfloat16, with outliers dropped', async () => {
    const cache = openCachedActivations({ dir: fixture('float32') })
    const [plain, buffer] = [
      await open(cache, { storedDtype: 'bfloat16' }),
      await open(cache, { storedDtype: 'bfloat16', outlierNormMultiple: 1.02 }),
    ]
    const [all, kept] = [await plain.fill(0), await buffer.fill(0)]
    expect(buffer.outliers(hook)).toBe(all - kept)
    expect(kept).toBeLessThan(all)
    for (const each of [plain, buffer]) await each.close()
    cache.close()
  })

  test('has the hook point that its column names and no other', async () => {
    const cache = openCachedActivations({ dir: fixture('float32') })
    await expect(open(cache, { hooks: ['blocks.1.hook_resid_post'] })).rejects.toThrow(
      /found: blocks.1.hook_resid_post; expected: one of blocks.0.hook_resid_post/,
    )
    cache.close()
  })

  test('names the model where SAELens wrote it beside the data', () => {
    const dir = join(folder, 'hub')
    cpSync(fixture('float32'), dir, { recursive: true })
    const settings = { model_name: 'gpt2', dataset_path: 'org/text' }
    writeFileSync(join(dir, 'cache_activations_runner_cfg.json'), JSON.stringify(settings))
    const cache = openCachedActivations({ dir })
    expect(cache).toMatchObject({ model: 'gpt2', datasets: ['org/text'] })
    cache.close()
  })
})

/** The two JSON files of a folder. */
type Editable = {
  features: Record<string, { shape: number[] }>
  _data_files: { filename: string }[]
  _indices_data_files?: { filename: string }[]
}

describe('a folder is refused', () => {
  const copy = () => {
    const dir = join(folder, 'copy')
    cpSync(fixture('float32'), dir, { recursive: true })
    return dir
  }
  const edit = (dir: string, name: string, change: (record: Editable) => void) => {
    const record = JSON.parse(readFileSync(join(dir, name), 'utf8'))
    change(record)
    writeFileSync(join(dir, name), JSON.stringify(record))
  }

  test.each<[string, string, (record: Editable) => void, RegExp]>([
    [
      'a file outside the folder',
      'state.json',
      r => (r._data_files[0].filename = '../x.arrow'),
      /_data_files.*\.\.\/x/,
    ],
    [
      'a file that is missing',
      'state.json',
      r => (r._data_files[0].filename = 'x.arrow'),
      /cannot be opened.*x\.arrow/,
    ],
    ['no files', 'state.json', r => (r._data_files = []), /_data_files/],
    ['indices', 'state.json', r => (r._indices_data_files = [{ filename: 'i.arrow' }]), /flatten_indices/],
    ['no column of activations', 'dataset_info.json', r => delete r.features[hook], /Array2D/],
    [
      'a wider column',
      'dataset_info.json',
      r => (r.features[hook].shape = [6, 9]),
      /bytes of float.*1728 for 8 contexts/,
    ],
    [
      'a narrower column',
      'dataset_info.json',
      r => (r.features[hook].shape = [6, 4]),
      /a list of 8.*expected: 4/,
    ],
    [
      'longer contexts',
      'dataset_info.json',
      r => (r.features[hook].shape = [1 << 20, 8]),
      /for 8 contexts of 1048576/,
    ],
    ['an impossible shape', 'dataset_info.json', r => (r.features[hook].shape = [1e300, -1]), /shape/],
    [
      'a column that no file has',
      'dataset_info.json',
      r => (r.features.other = r.features[hook]),
      /a column other/,
    ],
  ])('with %s', async (_, name, change, message) => {
    const dir = copy()
    edit(dir, name, change)
    const error = await use(dir)
    expect(error).toBeInstanceOf(InputError)
    expect((error as Error).message).toMatch(message)
  })

  test('with NaN in a row, which is named by file and row', async () => {
    const dir = copy()
    const file = join(dir, 'data-00001-of-00003.arrow')
    const bytes = readFileSync(file)
    const opened = openArrowStream(file)
    const [batch] = opened.batches
    // Validity and offsets of two lists come first: the numbers are the sixth buffer.
    bytes.writeFloatLE(Number.NaN, batch.buffers[5].offset + (3 * contextSize * width + 9) * 4)
    opened.close()
    writeFileSync(file, bytes)
    const error = await use(dir)
    expect((error as InputError).details).toMatchObject({ file, field: hook, found: 'row 3' })
  })

  /** Opens, reads one pass and returns what was thrown. */
  async function use(dir: string): Promise<unknown> {
    try {
      const cache = openCachedActivations({ dir })
      try {
        const buffer = await open(cache, { contexts: 24 })
        try {
          await buffer.fill(0)
        } finally {
          await buffer.close()
        }
      } finally {
        cache.close()
      }
    } catch (error) {
      return error
    }
    return undefined
  }

  test('or read, whatever bytes of its Arrow file are changed or cut: nothing but an InputError is thrown', async () => {
    const dir = copy()
    const file = join(dir, 'data-00000-of-00003.arrow')
    const whole = readFileSync(file)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.option(fc.nat(whole.length), { nil: undefined }),
        async (changes, end) => {
          const bytes = Buffer.from(whole.subarray(0, end))
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
          writeFileSync(file, bytes)
          const error = await use(dir)
          if (error !== undefined && !(error instanceof InputError)) throw error
        },
      ),
      { numRuns: 300 },
    )
  })
})

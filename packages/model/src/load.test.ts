// Opening model folders: layouts, dtypes, the cache, and what is refused.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  type DType,
  InputError,
  openSafetensors,
  type TensorSource,
  toF32,
  writeSafetensors,
} from '@mistudio/files'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { fixture, temporaryFolder } from '../testing/model_support.ts'
import { describeModel, openModel } from './load.ts'

const root = temporaryFolder()
afterAll(() => root.remove())
let dir = ''
let cacheDir = ''
let serial = 0
beforeEach(() => {
  dir = join(root.path, `model-${serial}`)
  cacheDir = join(root.path, `cache-${serial++}`)
  mkdirSync(dir)
})

const copy = (name: string) => cpSync(fixture(name), dir, { recursive: true })

function tensorsOf(name: string): TensorSource[] {
  const file = openSafetensors(join(fixture(name), 'model.safetensors'))
  const tensors = [...file.tensors.keys()].map(key => ({ name: key, ...file.read(key) }))
  file.close()
  return tensors
}

async function writeModel(name: string, tensors: TensorSource[], path = 'model.safetensors') {
  cpSync(join(fixture(name), 'config.json'), join(dir, 'config.json'))
  await writeSafetensors({ path: join(dir, path), tensors })
}

async function refused(message: RegExp) {
  const error: unknown = await openModel({ dir, cacheDir }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(InputError)
  expect(String(error)).toMatch(message)
}

/** Every weight of the opened model equals the fixture's, widened. */
async function expectWeights(name: string) {
  const model = await openModel({ dir, cacheDir })
  const source = tensorsOf(name)
  for (const { name: key, dtype, shape, data } of source) {
    const expected = toF32({ dtype: dtype as DType, shape, data: data as Uint16Array })
    expect(model.weights.readF32(key)).toEqual(expected)
    expect(model.weights.info(key).shape).toEqual(shape)
  }
  model.weights.close()
  return model
}

describe('layouts', () => {
  test('float32 files are used in place: the cache holds a link', async () => {
    copy('llama')
    const model = await expectWeights('llama')
    const { path } = model.weights.info('model.norm.weight')
    expect(statSync(path).ino).toBe(statSync(join(dir, 'model.safetensors')).ino)
    expect(model.storedDtypes).toEqual(['F32'])
    expect(model.name).toBe(`model-${serial - 1}`)
    expect(model.parameters).toBe(
      tensorsOf('llama').reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    )
  })

  test.each(['llama_f16', 'llama_bf16'])('%s is widened once', async name => {
    copy(name)
    const model = await expectWeights(name)
    const { path } = model.weights.info('model.norm.weight')
    expect(readdirSync(model.weights.folder)).toEqual(['weights-0.safetensors'])
    expect(model.storedDtypes).toEqual([name === 'llama_f16' ? 'F16' : 'BF16'])
    const before = statSync(path)
    const again = await expectWeights(name)
    expect(again.weights.folder).toBe(model.weights.folder)
    expect(statSync(path).ino).toBe(before.ino)
    expect(statSync(path).mtimeMs).toBe(before.mtimeMs)
  })

  test('a description says the same and touches no cache', async () => {
    copy('llama_bf16')
    const description = describeModel({ dir })
    expect(existsSync(cacheDir)).toBe(false)
    const { weights, hookPoints, forward, ...opened } = await openModel({ dir, cacheDir })
    weights.close()
    expect(description).toEqual(opened)
    expect(hookPoints).toEqual(description.hooks.map(({ name }) => name))
    writeFileSync(join(dir, 'model.safetensors'), 'nothing')
    expect(() => describeModel({ dir })).toThrow(InputError)
  })

  test('another modification time is another folder of the cache', async () => {
    copy('llama_bf16')
    const first = await expectWeights('llama_bf16')
    utimesSync(join(dir, 'model.safetensors'), 1_000_000, 1_000_000)
    const second = await expectWeights('llama_bf16')
    expect(second.weights.folder).not.toBe(first.weights.folder)
  })

  test('names without the leading module', async () => {
    for (const [name, prefix] of [
      ['llama', 'model.'],
      ['gpt2', 'transformer.'],
    ]) {
      const tensors = tensorsOf(name).map(tensor => ({ ...tensor, name: tensor.name.replace(prefix, '') }))
      expect(tensors.some(tensor => tensor.name.startsWith(prefix))).toBe(false)
      await writeModel(name, tensors)
      await expectWeights(name)
    }
  })

  test('shards', async () => {
    for (const name of ['llama', 'llama_bf16']) {
      const tensors = tensorsOf(name)
      const half = Math.floor(tensors.length / 2)
      const shards = { 'a-1.safetensors': tensors.slice(0, half), 'a-2.safetensors': tensors.slice(half) }
      const map: Record<string, string> = {}
      for (const [file, part] of Object.entries(shards)) {
        await writeModel(name, part, file)
        for (const tensor of part) map[tensor.name] = file
      }
      writeFileSync(
        join(dir, 'model.safetensors.index.json'),
        JSON.stringify({ metadata: {}, weight_map: map }),
      )
      await expectWeights(name)
    }
  })
})

describe('what is refused', () => {
  test('no config.json, no folder', async () => {
    await refused(/no config\.json.*file: .*config\.json/s)
    dir = join(dir, 'nowhere')
    await refused(/no config\.json/)
  })

  test('an unknown model_type lists those known', async () => {
    for (const [raw, found] of [
      ['{"model_type":"mamba"}', '"mamba"'],
      ['{}', 'nothing'],
      ['{"model_type":"toString"}', '"toString"'],
    ]) {
      writeFileSync(join(dir, 'config.json'), raw)
      await refused(new RegExp(`model_type; found: ${found}; expected: one of llama, gpt2`))
    }
  })

  test('a config that is no JSON object', async () => {
    writeFileSync(join(dir, 'config.json'), '{"model_type":')
    await refused(/not JSON.*config\.json/s)
    writeFileSync(join(dir, 'config.json'), '[]')
    await refused(/not a JSON object/)
  })

  test('no weights', async () => {
    cpSync(join(fixture('llama'), 'config.json'), join(dir, 'config.json'))
    await refused(/no weights.*expected: model\.safetensors or model\.safetensors\.index\.json/s)
  })

  test('a tensor that disagrees with the config: tensor, expected, found', async () => {
    copy('gpt2')
    const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'))
    writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...config, n_inner: 100 }))
    await refused(/field: transformer\.h\.0\.mlp\.c_fc\.weight; found: \[32, 128\]; expected: \[32, 100\]/)
    expect(existsSync(cacheDir)).toBe(false)
  })

  test('a missing tensor', async () => {
    await writeModel(
      'llama',
      tensorsOf('llama').filter(({ name }) => name !== 'model.layers.1.mlp.up_proj.weight'),
    )
    await refused(/field: model\.layers\.1\.mlp\.up_proj\.weight; found: nothing; expected: \[64, 32\]/)
  })

  test('weights of a dtype that is no float of 16 or 32 bits', async () => {
    const tensors = tensorsOf('llama').map(tensor =>
      tensor.name === 'model.norm.weight' ? { ...tensor, dtype: 'I32' as const } : tensor,
    )
    await writeModel('llama', tensors)
    await refused(/field: model\.norm\.weight; found: I32; expected: F32, F16 or BF16/)
  })

  test('an index that leads out of the folder, is empty or no object', async () => {
    cpSync(join(fixture('llama'), 'config.json'), join(dir, 'config.json'))
    const index = join(dir, 'model.safetensors.index.json')
    for (const map of [
      '{"a":"../x.safetensors"}',
      '{"a":"/x.safetensors"}',
      '{"a":"b\\\\x"}',
      '{"a":1}',
      '[]',
    ]) {
      writeFileSync(index, `{"weight_map":${map}}`)
      await refused(/weight_map/)
    }
    writeFileSync(index, '{"weight_map":{}}')
    await refused(/a tensor is missing/)
    writeFileSync(index, '{"weight_map":{"a":"gone.safetensors"}}')
    await refused(/gone\.safetensors/)
  })

  test('a cache that cannot be written', async () => {
    copy('llama')
    writeFileSync(cacheDir, 'a file')
    await refused(/cache cannot be written/)
  })
})

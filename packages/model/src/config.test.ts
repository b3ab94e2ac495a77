// config.json in the forms that transformers has written, and nonsensical values.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../testing/model_support.ts'
import { readDecoder } from './config.ts'

const folder = temporaryFolder()
afterAll(() => folder.remove())

const llama = {
  model_type: 'llama',
  hidden_size: 32,
  num_attention_heads: 4,
  num_hidden_layers: 2,
  intermediate_size: 64,
  vocab_size: 100,
}
function read(raw: Record<string, unknown>) {
  mkdirSync(folder.path, { recursive: true })
  writeFileSync(join(folder.path, 'config.json'), JSON.stringify(raw))
  return readDecoder({ dir: folder.path })
}

test('a file may be as long as 4 MiB, and no longer', () => {
  read(llama)
  const file = join(folder.path, 'config.json')
  const text = JSON.stringify(llama)
  writeFileSync(file, text.padEnd(4 << 20))
  expect(readDecoder({ dir: folder.path }).config.dModel).toBe(32)
  writeFileSync(file, text.padEnd((4 << 20) + 1))
  expect(() => readDecoder({ dir: folder.path })).toThrow(/too long.*found: 4194305 bytes/)
})

describe('llama', () => {
  test('defaults are those of transformers', () => {
    expect(read(llama).config).toEqual({
      kind: 'llama',
      nLayers: 2,
      dModel: 32,
      nHeads: 4,
      nKvHeads: 4,
      dHead: 8,
      dMlp: 64,
      nCtx: 2048,
      vocabSize: 100,
      tiedEmbeddings: false,
      normEpsilon: 1e-6,
      activation: 'silu',
      attentionBias: false,
      mlpBias: false,
      rope: { theta: 10_000, scaling: { type: 'default' } },
      eosTokenId: null,
      eosTokenIds: [],
      bosTokenId: null,
    })
  })

  test('several end tokens, null and -1 for none', () => {
    const { config } = read({ ...llama, eos_token_id: [7, 9], bos_token_id: -1 })
    expect(config.eosTokenId).toBe(7)
    expect(config.eosTokenIds).toEqual([7, 9])
    expect(config.bosTokenId).toBeNull()
    expect(read({ ...llama, eos_token_id: null }).config.eosTokenIds).toEqual([])
  })

  test.each([
    ['old keys', { rope_theta: 500, rope_scaling: { type: 'linear', factor: 4 } }],
    ['newer', { rope_theta: 500, rope_scaling: { rope_type: 'linear', factor: 4 } }],
    ['transformers 5', { rope_parameters: { rope_theta: 500, rope_type: 'linear', factor: 4 } }],
  ])('rope scaling, %s', (_, keys) => {
    const { config } = read({ ...llama, ...keys })
    expect(config).toMatchObject({ rope: { theta: 500, scaling: { type: 'linear', factor: 4 } } })
  })

  test('rope llama3', () => {
    const scaling = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    }
    expect(read({ ...llama, rope_scaling: { rope_type: 'llama3', ...scaling } }).config).toMatchObject({
      rope: {
        theta: 10_000,
        scaling: { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContext: 8192 },
      },
    })
  })

  test.each([
    [{ hidden_size: undefined }, /field: hidden_size; found: nothing; expected: a positive integer/],
    [{ hidden_size: -4 }, /field: hidden_size; found: -4/],
    [{ hidden_size: 1e12 }, /field: hidden_size/],
    [{ num_hidden_layers: 2 ** 26 }, /field: number of layers; found: 67108864; expected: at most 4096/],
    [{ vocab_size: '100' }, /field: vocab_size; found: "100"/],
    [
      { num_key_value_heads: 3 },
      /num_key_value_heads; found: 3; expected: a divisor of num_attention_heads, 4/,
    ],
    [{ num_attention_heads: 5 }, /num_attention_heads; found: 5/],
    [{ head_dim: 7 }, /head_dim; found: 7; expected: an even number/],
    [{ rms_norm_eps: 0 }, /rms_norm_eps/],
    [{ hidden_act: 'swoosh' }, /hidden_act; found: "swoosh"; expected: one of silu/],
    [{ attention_bias: 1 }, /attention_bias; found: 1; expected: true or false/],
    [{ eos_token_id: 'end' }, /eos_token_id/],
    [
      { rope_scaling: { rope_type: 'yarn', factor: 2 } },
      /rope_scaling\.rope_type; found: "yarn"; expected: one of default, linear, llama3/,
    ],
    [{ rope_parameters: 3 }, /rope_parameters; found: 3; expected: an object/],
    [{ rope_scaling: { rope_type: 'linear' } }, /rope_scaling\.factor; found: nothing/],
  ])('%j is refused', (change, message) => {
    expect(() => read({ ...llama, ...change })).toThrow(message)
  })
})

describe('gpt2', () => {
  test('defaults are GPT-2 small', () => {
    const { config, shapes } = read({ model_type: 'gpt2' })
    expect(shapes.layers[11].attention).toEqual({ heads: 12, kvHeads: 12, dHead: 64 })
    expect(config).toMatchObject({
      kind: 'gpt2',
      nLayers: 12,
      dModel: 768,
      nHeads: 12,
      dHead: 64,
      dMlp: 3072,
      nCtx: 1024,
      vocabSize: 50_257,
      tiedEmbeddings: true,
      activation: 'gelu_new',
      scaleAttention: true,
      scaleByInverseLayer: false,
    })
  })
  test('n_head must divide n_embd', () => {
    expect(() => read({ model_type: 'gpt2', n_head: 7 })).toThrow(
      /n_head; found: 7; expected: a divisor of n_embd, 768/,
    )
  })
})

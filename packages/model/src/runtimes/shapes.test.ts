// The shapes runtime: what it finds in models whose weights are known, and that an architecture cannot contradict itself.
import { openSafetensors } from '@mistudio/files'
import { expect, test } from 'vitest'
import { fixture } from '../../testing/model_support.ts'
import { architectures } from '../architectures.ts'
import { readDecoder } from '../config.ts'
import { blockHooks } from '../hooks.ts'
import type { Hooks, Ops } from '../ops.ts'
import { shapesOf } from './shapes.ts'

test.each(['llama', 'llama_untied_bias', 'gpt2', 'gpt2_inner'])(
  '%s: the parameters are the tensors of the checkpoint, each once',
  name => {
    const { shapes } = readDecoder({ dir: fixture(name) })
    const file = openSafetensors(`${fixture(name)}/model.safetensors`)
    file.close()
    const names = shapes.parameters.map(parameter => parameter.name)
    expect([...names].sort()).toEqual([...file.tensors.keys()].sort())
    for (const { name: key, shape } of shapes.parameters) expect(shape).toEqual(file.tensors.get(key)!.shape)
  },
)

test('llama and gpt2: the order of first use, the cache and the head', () => {
  const llama = readDecoder({ dir: fixture('llama_untied_bias') }).shapes
  expect(llama.parameters.slice(0, 4).map(({ name }) => name)).toEqual([
    'model.embed_tokens.weight',
    'model.layers.0.input_layernorm.weight',
    'model.layers.0.self_attn.q_proj.weight',
    'model.layers.0.self_attn.q_proj.bias',
  ])
  expect(llama.finalNorm).toEqual({ kind: 'rms', epsilon: 1e-6, weight: 'model.norm.weight' })
  expect(llama.unembed).toEqual({ weight: 'lm_head.weight', vocab: 96 })

  const gpt2 = readDecoder({ dir: fixture('gpt2') }).shapes
  expect(gpt2.cache).toEqual([0, 1, 2].map(layer => ({ kind: 'attention', layer, keys: 32, values: 32 })))
  expect(gpt2.unembed.weight).toBe(gpt2.embedding)
  expect(gpt2.finalNorm).toEqual({
    kind: 'layer',
    epsilon: 1e-5,
    weight: 'transformer.ln_f.weight',
    bias: 'transformer.ln_f.bias',
  })
})

test('no two architectures answer to one model_type', () => {
  const all = architectures.flatMap(({ modelTypes }) => modelTypes)
  expect(new Set(all).size).toBe(all.length)
})

/** One layer of width 8; the parts of a case replace those of a valid model. */
type Parts = {
  block?: <T>(ops: Ops<T>, x: T, hooks: Hooks<T>) => T
  end?: <T>(ops: Ops<T>, x: T, hooks: Hooks<T>) => T
  whole?: <T>(ops: Ops<T>, hooks: Hooks<T>) => T
}
const norm = { kind: 'rms', epsilon: 1e-5, weight: 'norm' } as const
const head = { weight: 'embedding', vocab: 5 }
const embed = <T>(ops: Ops<T>) => ops.embedTokens('embedding', { vocab: 5, width: 8 })
const names = blockHooks(0)
const settings = { layer: 0, heads: 2, kvHeads: 1, dHead: 4, scale: 1 }

function shapes({ block = (_, x) => x, end, whole }: Parts, nLayers = 1) {
  return shapesOf({
    config: {
      kind: 'one',
      nLayers,
      dModel: 8,
      nCtx: 16,
      vocabSize: 5,
      eosTokenId: null,
      eosTokenIds: [],
      bosTokenId: null,
    },
    forward(ops, hooks) {
      if (whole !== undefined) return whole(ops, hooks)
      let x = hooks(names.residPre, embed(ops))
      x = hooks(names.residPost, block(ops, x, hooks))
      return end === undefined ? ops.unembed(ops.finalNorm(x, norm, hooks), head) : end(ops, x, hooks)
    },
  })
}

test('a model that is in order', () => {
  const found = shapes({
    block: (ops, x) =>
      ops.attention(x, ...pair(ops.split(x, [4, 4])), { ...settings, window: 3, sinks: 'sinks' }),
  })
  expect(found).toEqual({
    parameters: [
      { name: 'embedding', shape: [5, 8] },
      { name: 'sinks', shape: [2] },
      { name: 'norm', shape: [8] },
    ],
    hooks: [
      { name: names.residPre, width: 8, layer: 0 },
      { name: names.residPost, width: 8, layer: 0 },
      { name: 'ln_final.hook_normalized', width: 8, layer: null },
    ],
    layers: [
      {
        span: { first: 0, last: 1 },
        attention: { heads: 2, kvHeads: 1, dHead: 4, window: 3 },
        dMlp: null,
      },
    ],
    cache: [{ kind: 'attention', layer: 0, keys: 4, values: 4, window: 3 }],
    embedding: 'embedding',
    finalNorm: norm,
    unembed: head,
  })
})

const pair = <T>([a, b]: T[]): [T, T] => [a, b]
const attention = (change: Partial<Parameters<Ops<unknown>['attention']>[3]>): Parts => ({
  block: (ops, x) => ops.attention(x, ...pair(ops.split(x, [4, 4])), { ...settings, ...change }),
})

const contradictions: [string, Parts, RegExp][] = [
  [
    'a weight of two shapes',
    { block: (ops, x) => ops.linear(x, { weight: 'embedding', out: 8 }) },
    /embedding has the shapes \[5,8\] and \[8,8\]/,
  ],
  [
    'a hook marked twice',
    { block: (_, x, hooks) => hooks(names.mlpOut, hooks(names.mlpOut, x)) },
    /blocks\.0\.hook_mlp_out is marked twice/,
  ],
  [
    'a hook of another block',
    { block: (_, x, hooks) => hooks(blockHooks(1).mlpOut, x) },
    /blocks\.1\.hook_mlp_out of layer 1 in block 0/,
  ],
  [
    'a hook of no block inside one',
    { block: (_, x, hooks) => hooks('hook_embed', x) },
    /hook_embed is marked in block 0/,
  ],
  ['attention of another layer', attention({ layer: 1 }), /attention of layer 1 in block 0/],
  [
    'attention outside the blocks',
    { end: (ops, x) => ops.attention(x, x, x, { ...settings, kvHeads: 2 }) },
    /attention of layer 0 in no block/,
  ],
  [
    'two attentions with one cache',
    { block: (ops, x, hooks) => attention({}).block!(ops, attention({}).block!(ops, x, hooks), hooks) },
    /two caches of one kind and name: attention 0/,
  ],
  ['heads that do not divide', attention({ heads: 4, kvHeads: 3 }), /4 heads share 3 heads/],
  ['keys of another width', attention({ dHead: 2, heads: 4 }), /the key is 4 wide and not 2/],
  ['values of another width', attention({ dValue: 3 }), /the value is 4 wide and not 3/],
  ['a window of nothing', attention({ window: 0 }), /a window of 0 keys/],
  [
    'an odd number of turned dimensions',
    {
      block: (ops, x) =>
        ops.rotary(x, {
          heads: 2,
          dHead: 4,
          rotaryDims: 3,
          rope: { theta: 1, scaling: { type: 'default' } },
        }),
    },
    /3 of a head's 4 dimensions turn in pairs/,
  ],
  [
    'heads that are not the width',
    { block: (ops, x) => ops.headNorm(x, { heads: 3, dHead: 4, kind: 'rms', epsilon: 1 }) },
    /what is normed by heads is 8 wide and not 12/,
  ],
  [
    'a convolution over one token',
    { block: (ops, x) => ops.shortConv(x, { layer: 0, width: 8, weight: 'conv', kernel: 1 }) },
    /a convolution over 1 tokens/,
  ],
  [
    'parts that are not the whole',
    { block: (ops, x) => ops.split(x, [4, 3])[0] },
    /what is split is 8 wide and not 7/,
  ],
  [
    'sums of two widths',
    { block: (ops, x) => ops.add(x, ops.split(x, [4, 4])[0]) },
    /what is added is 4 wide and not 8/,
  ],
  [
    'a stream of another width',
    { block: (ops, x) => ops.split(x, [4, 4])[0] },
    /hook_resid_post is 4 wide and not 8/,
  ],
  [
    'fewer positions than the context has',
    { block: ops => ops.embedPositions('positions', { positions: 15, width: 8 }) },
    /15 positions for a context of 16/,
  ],
  [
    'a final norm inside a block',
    { block: (ops, x, hooks) => ops.finalNorm(x, norm, hooks) },
    /finalNorm comes once, behind the blocks/,
  ],
  ['no final norm', { end: (ops, x) => ops.unembed(x, head) }, /unembed comes behind finalNorm/],
  [
    'no unembedding',
    { end: (ops, x, hooks) => ops.linear(ops.finalNorm(x, norm, hooks), { ...head, out: 5 }) },
    /embedTokens, finalNorm and unembed all have to be called/,
  ],
  [
    'something behind the unembedding',
    {
      end: (ops, x, hooks) => ops.activation(ops.unembed(ops.finalNorm(x, norm, hooks), head), 'relu'),
    },
    /the logits are what unembed gives/,
  ],
  [
    'another vocabulary',
    { end: (ops, x, hooks) => ops.unembed(ops.finalNorm(x, norm, hooks), { weight: 'head', vocab: 6 }) },
    /the logits is 6 wide and not 5/,
  ],
  [
    'a block without its end',
    {
      whole: (ops, hooks) =>
        ops.unembed(ops.finalNorm(hooks(names.residPre, embed(ops)), { kind: 'none' }, hooks), head),
    },
    /finalNorm comes once, behind the blocks/,
  ],
  [
    'blocks out of order',
    { whole: (ops, hooks) => hooks(blockHooks(1).residPre, embed(ops)) },
    /block 1 comes after 0 blocks/,
  ],
  [
    'a block too many',
    { end: (_, x, hooks) => hooks(blockHooks(1).residPre, x) },
    /block 1 of a model of 1 layers/,
  ],
]

test.each(contradictions)('%s', (_, parts, message) => {
  expect(() => shapes(parts)).toThrow(message)
})

test('a block too few', () => {
  expect(() => shapes({}, 2)).toThrow('the architecture contradicts itself: 1 of 2 layers were run')
})

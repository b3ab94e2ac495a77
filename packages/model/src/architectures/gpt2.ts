// GPT-2 (Radford et al. 2019; transformers' GPT2LMHeadModel): layer norms, learned positions, multi-head
// attention with one fused projection, weights stored the other way round (Conv1D).
import type { Architecture, Parameter } from '../architectures.ts'
import type { DecoderConfig } from '../config.ts'
import { type ConfigReader, readTokens } from '../config_reader.ts'
import { blockHooks, finalNormalized } from '../hooks.ts'
import { type Activation, activations, type Hooks, type Ops } from '../ops.ts'

export type Gpt2Config = DecoderConfig & {
  kind: 'gpt2'
  activation: Activation
  /** Scores divided by √dHead. */
  scaleAttention: boolean
  /** Scores divided by layer + 1 as well. */
  scaleByInverseLayer: boolean
}

const embedding = 'transformer.wte.weight'
const block = (layer: number) => `transformer.h.${layer}`

function forward<T>(ops: Ops<T>, config: Gpt2Config, hooks: Hooks<T>): T {
  const { nHeads: heads, dHead, dModel, normEpsilon: epsilon } = config
  const conv1d = (x: T, name: string) =>
    ops.linear(x, { weight: `${name}.weight`, bias: `${name}.bias`, layout: 'in_out' })
  const norm = (x: T, name: string) =>
    ops.layerNorm(x, { weight: `${name}.weight`, bias: `${name}.bias`, epsilon })

  let x = ops.add(ops.embedTokens(embedding), ops.embedPositions('transformer.wpe.weight'))
  for (let layer = 0; layer < config.nLayers; layer++) {
    const names = blockHooks(layer)
    const here = block(layer)
    x = hooks(names.residPre, x)

    const attentionIn = norm(x, `${here}.ln_1`)
    const [q, k, v] = ops.split(conv1d(attentionIn, `${here}.attn.c_attn`), [dModel, dModel, dModel])
    const scale =
      (config.scaleAttention ? 1 / Math.sqrt(dHead) : 1) / (config.scaleByInverseLayer ? layer + 1 : 1)
    const z = hooks(names.z, ops.attention(q, k, v, { layer, heads, kvHeads: heads, dHead, scale }))
    const attentionOut = hooks(names.attnOut, conv1d(z, `${here}.attn.c_proj`))
    x = hooks(names.residMid, ops.add(x, attentionOut))

    const mlpIn = norm(x, `${here}.ln_2`)
    const post = hooks(names.post, ops.activation(conv1d(mlpIn, `${here}.mlp.c_fc`), config.activation))
    const mlpOut = hooks(names.mlpOut, conv1d(post, `${here}.mlp.c_proj`))
    x = hooks(names.residPost, ops.add(x, mlpOut))
  }
  const normalized = hooks(finalNormalized, ops.normalize(x, { centre: true, epsilon }))
  const final = ops.affine(normalized, { weight: 'transformer.ln_f.weight', bias: 'transformer.ln_f.bias' })
  return ops.linear(final, { weight: config.tiedEmbeddings ? embedding : 'lm_head.weight' })
}

function parameters(config: Gpt2Config): Parameter[] {
  const { dModel, dMlp, vocabSize, nCtx } = config
  const list: Parameter[] = [
    { name: embedding, shape: [vocabSize, dModel] },
    { name: 'transformer.wpe.weight', shape: [nCtx, dModel] },
  ]
  const conv1d = (name: string, into: number, out: number) =>
    list.push({ name: `${name}.weight`, shape: [into, out] }, { name: `${name}.bias`, shape: [out] })
  const norm = (name: string) =>
    list.push({ name: `${name}.weight`, shape: [dModel] }, { name: `${name}.bias`, shape: [dModel] })
  for (let layer = 0; layer < config.nLayers; layer++) {
    const here = block(layer)
    norm(`${here}.ln_1`)
    conv1d(`${here}.attn.c_attn`, dModel, 3 * dModel)
    conv1d(`${here}.attn.c_proj`, dModel, dModel)
    norm(`${here}.ln_2`)
    conv1d(`${here}.mlp.c_fc`, dModel, dMlp)
    conv1d(`${here}.mlp.c_proj`, dMlp, dModel)
  }
  norm('transformer.ln_f')
  if (!config.tiedEmbeddings) list.push({ name: 'lm_head.weight', shape: [vocabSize, dModel] })
  return list
}

// Defaults are those of transformers' GPT2Config, which leaves out of config.json what equals them.
function readConfig(reader: ConfigReader): Gpt2Config {
  const dModel = reader.size('n_embd', 768)
  const nHeads = reader.size('n_head', 12)
  if (dModel % nHeads !== 0) reader.fail('n_head', nHeads, `a divisor of n_embd, ${dModel}`)
  return {
    kind: 'gpt2',
    nLayers: reader.size('n_layer', 12),
    dModel,
    nHeads,
    nKvHeads: nHeads,
    dHead: dModel / nHeads,
    dMlp: reader.size('n_inner', 4 * dModel),
    nCtx: reader.size('n_positions', 1024),
    vocabSize: reader.size('vocab_size', 50_257),
    tiedEmbeddings: reader.flag('tie_word_embeddings', true),
    normEpsilon: reader.positive('layer_norm_epsilon', 1e-5),
    activation: reader.choice('activation_function', activations, 'gelu_new'),
    scaleAttention: reader.flag('scale_attn_weights', true),
    scaleByInverseLayer: reader.flag('scale_attn_by_inverse_layer_idx', false),
    ...readTokens(reader),
  }
}

export const gpt2: Architecture<Gpt2Config> = { readConfig, parameters, prefix: 'transformer.', forward }

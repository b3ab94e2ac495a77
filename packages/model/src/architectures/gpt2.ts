// GPT-2 (Radford et al. 2019; transformers' GPT2LMHeadModel): layer norms, learned positions, multi-head
// attention with one fused projection, weights stored transposed (Conv1D).
import { type DecoderConfig, defineArchitecture } from '../architecture.ts'
import { type ConfigReader, readTokens } from '../config_reader.ts'
import { blockHooks } from '../hooks.ts'
import { type Activation, activations, type Hooks, type Norm, type Ops } from '../ops.ts'

export type Gpt2Config = DecoderConfig & {
  nHeads: number
  dHead: number
  dMlp: number
  /** The unembedding is the embedding. */
  tiedEmbeddings: boolean
  normEpsilon: number
  activation: Activation
  /** Scores divided by √dHead. */
  scaleAttention: boolean
  /** Scores divided by layer + 1 as well. */
  scaleByInverseLayer: boolean
}

const embedding = 'transformer.wte.weight'
const block = (layer: number) => `transformer.h.${layer}`

function forward<T>(ops: Ops<T>, config: Gpt2Config, hooks: Hooks<T>): T {
  const { nHeads: heads, dHead, dModel, dMlp, nCtx: positions, vocabSize: vocab } = config
  const conv1d = (x: T, name: string, out: number) =>
    ops.linear(x, { weight: `${name}.weight`, out, bias: `${name}.bias`, layout: 'in_out' })
  const norm = (name: string): Norm => ({
    kind: 'layer',
    epsilon: config.normEpsilon,
    weight: `${name}.weight`,
    bias: `${name}.bias`,
  })

  let x = ops.add(
    ops.embedTokens(embedding, { vocab, width: dModel }),
    ops.embedPositions('transformer.wpe.weight', { positions, width: dModel }),
  )
  for (let layer = 0; layer < config.nLayers; layer++) {
    const names = blockHooks(layer)
    const here = block(layer)
    x = hooks(names.residPre, x)

    const attentionIn = ops.norm(x, norm(`${here}.ln_1`))
    const qkv = conv1d(attentionIn, `${here}.attn.c_attn`, 3 * dModel)
    const [q, k, v] = ops.split(qkv, [dModel, dModel, dModel])
    const scale =
      (config.scaleAttention ? 1 / Math.sqrt(dHead) : 1) / (config.scaleByInverseLayer ? layer + 1 : 1)
    const z = hooks(names.z, ops.attention(q, k, v, { layer, heads, kvHeads: heads, dHead, scale }))
    const attentionOut = hooks(names.attnOut, conv1d(z, `${here}.attn.c_proj`, dModel))
    x = hooks(names.residMid, ops.add(x, attentionOut))

    const mlpIn = ops.norm(x, norm(`${here}.ln_2`))
    const hidden = conv1d(mlpIn, `${here}.mlp.c_fc`, dMlp)
    const post = hooks(names.post, ops.activation(hidden, config.activation))
    const mlpOut = hooks(names.mlpOut, conv1d(post, `${here}.mlp.c_proj`, dModel))
    x = hooks(names.residPost, ops.add(x, mlpOut))
  }
  const final = ops.finalNorm(x, norm('transformer.ln_f'), hooks)
  return ops.unembed(final, { weight: config.tiedEmbeddings ? embedding : 'lm_head.weight', vocab })
}

// Defaults are those of transformers' GPT2Config, which omits values equal to them from config.json.
function readConfig(reader: ConfigReader): Gpt2Config {
  const dModel = reader.size('n_embd', 768)
  const nHeads = reader.size('n_head', 12)
  if (dModel % nHeads !== 0) reader.fail('n_head', nHeads, `a divisor of n_embd, ${dModel}`)
  return {
    nLayers: reader.size('n_layer', 12),
    dModel,
    nHeads,
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

export const gpt2 = defineArchitecture<Gpt2Config>({
  modelTypes: ['gpt2'],
  prefix: 'transformer.',
  readConfig,
  forward,
})

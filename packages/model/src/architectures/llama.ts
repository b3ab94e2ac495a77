// Llama (Touvron et al. 2023; transformers' LlamaForCausalLM): RMS norms, rotary positions, grouped-query
// attention, a gated MLP. Weight names are the checkpoint's.
import { type DecoderConfig, defineArchitecture } from '../architecture.ts'
import { type ConfigReader, readTokens } from '../config_reader.ts'
import { blockHooks } from '../hooks.ts'
import { type Activation, activations, type Hooks, type Norm, type Ops } from '../ops.ts'
import type { RopeConfig, RopeScaling } from '../rope.ts'

export type LlamaConfig = DecoderConfig & {
  nHeads: number
  /** Key and value heads; fewer than `nHeads` in grouped-query attention. */
  nKvHeads: number
  dHead: number
  dMlp: number
  /** The unembedding is the embedding. */
  tiedEmbeddings: boolean
  normEpsilon: number
  activation: Activation
  attentionBias: boolean
  mlpBias: boolean
  rope: RopeConfig
}

const embedding = 'model.embed_tokens.weight'
const block = (layer: number) => `model.layers.${layer}`

function forward<T>(ops: Ops<T>, config: LlamaConfig, hooks: Hooks<T>): T {
  const { dModel, nHeads: heads, nKvHeads: kvHeads, dHead, dMlp, rope, vocabSize: vocab } = config
  const scale = 1 / Math.sqrt(dHead)
  const norm = (name: string): Norm => ({
    kind: 'rms',
    epsilon: config.normEpsilon,
    weight: `${name}.weight`,
  })
  const linear = (x: T, name: string, out: number, bias: boolean) =>
    ops.linear(x, { weight: `${name}.weight`, out, bias: bias ? `${name}.bias` : undefined })

  let x = ops.embedTokens(embedding, { vocab, width: dModel })
  for (let layer = 0; layer < config.nLayers; layer++) {
    const names = blockHooks(layer)
    const here = block(layer)
    x = hooks(names.residPre, x)

    const attentionIn = ops.norm(x, norm(`${here}.input_layernorm`))
    const project = (from: T, name: string, out: number) =>
      linear(from, `${here}.self_attn.${name}`, out, config.attentionBias)
    const q = ops.rotary(project(attentionIn, 'q_proj', heads * dHead), { heads, dHead, rope })
    const k = ops.rotary(project(attentionIn, 'k_proj', kvHeads * dHead), { heads: kvHeads, dHead, rope })
    const v = project(attentionIn, 'v_proj', kvHeads * dHead)
    const z = hooks(names.z, ops.attention(q, k, v, { layer, heads, kvHeads, dHead, scale }))
    const attentionOut = hooks(names.attnOut, project(z, 'o_proj', dModel))
    x = hooks(names.residMid, ops.add(x, attentionOut))

    const mlpIn = ops.norm(x, norm(`${here}.post_attention_layernorm`))
    const mlp = (from: T, name: string, out: number) =>
      linear(from, `${here}.mlp.${name}`, out, config.mlpBias)
    const gate = ops.activation(mlp(mlpIn, 'gate_proj', dMlp), config.activation)
    const post = hooks(names.post, ops.multiply(gate, mlp(mlpIn, 'up_proj', dMlp)))
    const mlpOut = hooks(names.mlpOut, mlp(post, 'down_proj', dModel))
    x = hooks(names.residPost, ops.add(x, mlpOut))
  }
  const final = ops.finalNorm(x, norm('model.norm'), hooks)
  return ops.unembed(final, { weight: config.tiedEmbeddings ? embedding : 'lm_head.weight', vocab })
}

// Defaults are those of transformers' LlamaConfig, which omits values equal to them from config.json.
function readConfig(reader: ConfigReader): LlamaConfig {
  const dModel = reader.size('hidden_size')
  const nHeads = reader.size('num_attention_heads')
  const nKvHeads = reader.size('num_key_value_heads', nHeads)
  if (nHeads % nKvHeads !== 0) {
    reader.fail('num_key_value_heads', nKvHeads, `a divisor of num_attention_heads, ${nHeads}`)
  }
  if (!reader.has('head_dim') && dModel % nHeads !== 0) {
    reader.fail('num_attention_heads', nHeads, `a divisor of hidden_size, ${dModel}, or head_dim given`)
  }
  const dHead = reader.size('head_dim', Math.floor(dModel / nHeads))
  if (dHead % 2 !== 0) reader.fail('head_dim', dHead, 'an even number: rotary positions rotate pairs')
  return {
    nLayers: reader.size('num_hidden_layers'),
    dModel,
    nHeads,
    nKvHeads,
    dHead,
    dMlp: reader.size('intermediate_size'),
    nCtx: reader.size('max_position_embeddings', 2048),
    vocabSize: reader.size('vocab_size'),
    tiedEmbeddings: reader.flag('tie_word_embeddings', false),
    normEpsilon: reader.positive('rms_norm_eps', 1e-6),
    activation: reader.choice('hidden_act', activations, 'silu'),
    attentionBias: reader.flag('attention_bias', false),
    mlpBias: reader.flag('mlp_bias', false),
    rope: readRope(reader),
    ...readTokens(reader),
  }
}

/** transformers 5 writes `rope_parameters`; earlier versions wrote `rope_scaling` and `rope_theta`. */
function readRope(reader: ConfigReader): RopeConfig {
  const nested = reader.object('rope_parameters') ?? reader.object('rope_scaling')
  const theta = nested?.has('rope_theta')
    ? nested.positive('rope_theta')
    : reader.positive('rope_theta', 10_000)
  return { theta, scaling: nested === undefined ? { type: 'default' } : readScaling(nested, reader) }
}

function readScaling(nested: ConfigReader, reader: ConfigReader): RopeScaling {
  const key = nested.has('rope_type') ? 'rope_type' : 'type'
  switch (nested.choice(key, ['default', 'linear', 'llama3'], 'default')) {
    case 'default':
      return { type: 'default' }
    case 'linear':
      return { type: 'linear', factor: nested.positive('factor') }
    case 'llama3':
      return {
        type: 'llama3',
        factor: nested.positive('factor'),
        lowFreqFactor: nested.positive('low_freq_factor'),
        highFreqFactor: nested.positive('high_freq_factor'),
        originalContext: nested.has('original_max_position_embeddings')
          ? nested.size('original_max_position_embeddings')
          : reader.size('max_position_embeddings', 2048),
      }
  }
}

export const llama = defineArchitecture<LlamaConfig>({
  modelTypes: ['llama'],
  prefix: 'model.',
  readConfig,
  forward,
})

// Llama (Touvron et al. 2023; transformers' LlamaForCausalLM): RMS norms, rotary positions, grouped-query
// attention, a gated MLP. Weight names are the checkpoint's.
import type { Architecture, Parameter } from '../architectures.ts'
import type { DecoderConfig } from '../config.ts'
import { type ConfigReader, readTokens } from '../config_reader.ts'
import { blockHooks, finalNormalized } from '../hooks.ts'
import { type Activation, activations, type Hooks, type Ops } from '../ops.ts'
import type { RopeConfig, RopeScaling } from '../rope.ts'

export type LlamaConfig = DecoderConfig & {
  kind: 'llama'
  activation: Activation
  attentionBias: boolean
  mlpBias: boolean
  rope: RopeConfig
}

const embedding = 'model.embed_tokens.weight'
const block = (layer: number) => `model.layers.${layer}`

function forward<T>(ops: Ops<T>, config: LlamaConfig, hooks: Hooks<T>): T {
  const { nHeads: heads, nKvHeads: kvHeads, dHead, rope, normEpsilon: epsilon } = config
  const scale = 1 / Math.sqrt(dHead)
  const attentionBias = (name: string) => (config.attentionBias ? `${name}.bias` : undefined)
  const mlpBias = (name: string) => (config.mlpBias ? `${name}.bias` : undefined)
  const project = (x: T, name: string) =>
    ops.linear(x, { weight: `${name}.weight`, bias: attentionBias(name) })
  const mlp = (x: T, name: string) => ops.linear(x, { weight: `${name}.weight`, bias: mlpBias(name) })

  let x = ops.embedTokens(embedding)
  for (let layer = 0; layer < config.nLayers; layer++) {
    const names = blockHooks(layer)
    const here = block(layer)
    x = hooks(names.residPre, x)

    const attentionIn = ops.rmsNorm(x, { weight: `${here}.input_layernorm.weight`, epsilon })
    const q = ops.rotary(project(attentionIn, `${here}.self_attn.q_proj`), { heads, dHead, rope })
    const k = ops.rotary(project(attentionIn, `${here}.self_attn.k_proj`), { heads: kvHeads, dHead, rope })
    const v = project(attentionIn, `${here}.self_attn.v_proj`)
    const z = hooks(names.z, ops.attention(q, k, v, { layer, heads, kvHeads, dHead, scale }))
    const attentionOut = hooks(names.attnOut, project(z, `${here}.self_attn.o_proj`))
    x = hooks(names.residMid, ops.add(x, attentionOut))

    const mlpIn = ops.rmsNorm(x, { weight: `${here}.post_attention_layernorm.weight`, epsilon })
    const gate = ops.activation(mlp(mlpIn, `${here}.mlp.gate_proj`), config.activation)
    const post = hooks(names.post, ops.multiply(gate, mlp(mlpIn, `${here}.mlp.up_proj`)))
    const mlpOut = hooks(names.mlpOut, mlp(post, `${here}.mlp.down_proj`))
    x = hooks(names.residPost, ops.add(x, mlpOut))
  }
  const normalized = hooks(finalNormalized, ops.normalize(x, { centre: false, epsilon }))
  const final = ops.affine(normalized, { weight: 'model.norm.weight' })
  return ops.linear(final, { weight: config.tiedEmbeddings ? embedding : 'lm_head.weight' })
}

function parameters(config: LlamaConfig): Parameter[] {
  const { nHeads, nKvHeads, dHead, dModel, dMlp, vocabSize } = config
  const list: Parameter[] = [{ name: embedding, shape: [vocabSize, dModel] }]
  const linear = (name: string, out: number, into: number, bias: boolean) => {
    list.push({ name: `${name}.weight`, shape: [out, into] })
    if (bias) list.push({ name: `${name}.bias`, shape: [out] })
  }
  for (let layer = 0; layer < config.nLayers; layer++) {
    const here = block(layer)
    list.push({ name: `${here}.input_layernorm.weight`, shape: [dModel] })
    linear(`${here}.self_attn.q_proj`, nHeads * dHead, dModel, config.attentionBias)
    linear(`${here}.self_attn.k_proj`, nKvHeads * dHead, dModel, config.attentionBias)
    linear(`${here}.self_attn.v_proj`, nKvHeads * dHead, dModel, config.attentionBias)
    linear(`${here}.self_attn.o_proj`, dModel, nHeads * dHead, config.attentionBias)
    list.push({ name: `${here}.post_attention_layernorm.weight`, shape: [dModel] })
    linear(`${here}.mlp.gate_proj`, dMlp, dModel, config.mlpBias)
    linear(`${here}.mlp.up_proj`, dMlp, dModel, config.mlpBias)
    linear(`${here}.mlp.down_proj`, dModel, dMlp, config.mlpBias)
  }
  list.push({ name: 'model.norm.weight', shape: [dModel] })
  if (!config.tiedEmbeddings) list.push({ name: 'lm_head.weight', shape: [vocabSize, dModel] })
  return list
}

// Defaults are those of transformers' LlamaConfig, which leaves out of config.json what equals them.
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
  if (dHead % 2 !== 0) reader.fail('head_dim', dHead, 'an even number: rotary positions turn pairs')
  return {
    kind: 'llama',
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

/** transformers 5 writes `rope_parameters`; before, `rope_scaling` and `rope_theta` lay side by side. */
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

export const llama: Architecture<LlamaConfig> = { readConfig, parameters, prefix: 'model.', forward }

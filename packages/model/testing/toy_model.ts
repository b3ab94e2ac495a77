// An architecture for tests, of which no two layers are alike: whoever takes layers for equal fails on it.
import { defineArchitecture } from '../src/architecture.ts'
import { blockHooks } from '../src/hooks.ts'
import type { Hooks, Norm, Ops } from '../src/ops.ts'

const [dModel, vocab, nCtx] = [16, 90, 64]
const rope = (theta: number) => ({ theta, scaling: { type: 'default' } }) as const

/**
 * Layer 0: attention over a window and MLP in parallel. 1: a short convolution in place of attention. 2: attention over
 * everything with all extras, norms behind both parts. 3: another window, a gated MLP.
 */
function forward<T>(ops: Ops<T>, hooks: Hooks<T>): T {
  const norm = (weight: string): Norm => ({ kind: 'rms', epsilon: 1e-5, weight: `${weight}.weight` })
  const linear = (x: T, name: string, out: number) => ops.linear(x, { weight: `${name}.weight`, out })
  const mlp = (x: T, layer: number, dMlp: number) => {
    const hidden = ops.activation(linear(x, `model.${layer}.up`, dMlp), 'gelu')
    return linear(hooks(blockHooks(layer).post, hidden), `model.${layer}.down`, dModel)
  }

  let x = ops.embedTokens('model.embedding', { vocab, width: dModel })
  {
    const names = blockHooks(0)
    x = hooks(names.residPre, x)
    const into = ops.norm(x, norm('model.0.norm'))
    const turned = (name: string, heads: number) =>
      ops.rotary(linear(into, `model.0.${name}`, heads * 8), { heads, dHead: 8, rope: rope(50) })
    const options = { layer: 0, heads: 2, kvHeads: 1, dHead: 8, scale: 0.4, window: 6 }
    const z = ops.attention(turned('q', 2), turned('k', 1), linear(into, 'model.0.v', 8), options)
    const attentionOut = hooks(names.attnOut, linear(hooks(names.z, z), 'model.0.o', dModel))
    const mlpOut = hooks(names.mlpOut, mlp(into, 0, 20))
    x = hooks(names.residPost, ops.add(ops.add(x, attentionOut), mlpOut))
  }
  {
    const names = blockHooks(1)
    x = hooks(names.residPre, x)
    const [gate, value] = ops.split(linear(x, 'model.1.in', 24), [12, 12])
    const conv = {
      layer: 1,
      width: 12,
      kernel: 3,
      weight: 'model.1.conv.weight',
      bias: 'model.1.conv.bias',
    }
    const y = linear(ops.multiply(gate, ops.shortConv(value, conv)), 'model.1.out', dModel)
    x = hooks(names.residMid, ops.add(x, hooks(names.attnOut, y)))
    x = hooks(names.residPost, ops.add(x, hooks(names.mlpOut, mlp(x, 1, 40))))
  }
  {
    const names = blockHooks(2)
    x = hooks(names.residPre, x)
    const turned = (name: string, heads: number) => {
      const normed = ops.headNorm(linear(x, `model.2.${name}`, heads * 6), {
        ...norm(`model.2.${name}_norm`),
        heads,
        dHead: 6,
      })
      return ops.rotary(normed, { heads, dHead: 6, rope: rope(200), rotaryDims: 4, interleaved: true })
    }
    const z = ops.attention(turned('q', 4), turned('k', 2), linear(x, 'model.2.v', 10), {
      layer: 2,
      heads: 4,
      kvHeads: 2,
      dHead: 6,
      dValue: 5,
      scale: 1,
      softCap: 3,
      sinks: 'model.2.sinks',
    })
    const attentionOut = ops.norm(
      linear(hooks(names.z, z), 'model.2.o', dModel),
      norm('model.2.behind_attention'),
    )
    x = hooks(names.residMid, ops.add(x, hooks(names.attnOut, attentionOut)))
    const mlpOut = ops.norm(mlp(x, 2, 12), norm('model.2.behind_mlp'))
    x = hooks(names.residPost, ops.add(x, hooks(names.mlpOut, mlpOut)))
  }
  {
    const names = blockHooks(3)
    x = hooks(names.residPre, x)
    const z = ops.attention(
      linear(x, 'model.3.q', 12),
      linear(x, 'model.3.k', 12),
      linear(x, 'model.3.v', 12),
      { layer: 3, heads: 3, kvHeads: 3, dHead: 4, scale: 0.5, window: 3 },
    )
    const attentionOut = hooks(names.attnOut, linear(hooks(names.z, z), 'model.3.o', dModel))
    x = hooks(names.residMid, ops.add(x, attentionOut))
    const into = ops.norm(x, { kind: 'layer', epsilon: 1e-5, weight: 'model.3.w', bias: 'model.3.b' })
    const gate = ops.activation(linear(into, 'model.3.gate', 28), 'silu')
    const post = hooks(names.post, ops.multiply(gate, linear(into, 'model.3.up', 28)))
    x = hooks(names.residPost, ops.add(x, hooks(names.mlpOut, linear(post, 'model.3.down', dModel))))
  }
  const final = ops.finalNorm(x, { ...norm('model.norm'), unitOffset: true }, hooks)
  return ops.unembed(final, { weight: 'head.weight', vocab, bias: 'head.bias', scale: 1.5, softCap: 8 })
}

export const toy = defineArchitecture({
  modelTypes: ['toy'],
  prefix: 'model.',
  readConfig: () => ({
    nLayers: 4,
    dModel,
    nCtx,
    vocabSize: vocab,
    eosTokenId: null,
    eosTokenIds: [],
    bosTokenId: null,
  }),
  forward: (ops, _, hooks) => forward(ops, hooks),
})

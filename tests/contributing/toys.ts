// What the recipes of CONTRIBUTING.md are tried on: a model, a text and an SAE of the kinds that they add, all tiny.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeSafetensors } from '@mistudio/files'
import type { Sae } from '@mistudio/sae'

const demo = fileURLToPath(new URL('../../assets/demo', import.meta.url))

/** Between −scale and scale, the same at every run. */
function draws(count: number, seed: number, scale: number): Float32Array {
  let state = seed
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state / 2 ** 31 - 1) * scale
  })
}

const tensor = (name: string, shape: number[], data: Float32Array) => ({
  name,
  dtype: 'F32' as const,
  shape,
  data,
})

/** With the demo's tokenizer. */
export async function writeToyModel(dir: string): Promise<void> {
  const [width, vocab, layers] = [16, 8192, 2]
  mkdirSync(dir)
  const config = { model_type: 'toy', layers, width, context: 64, vocab_size: vocab, eos_token_id: 0 }
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config))
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(join(demo, 'model', name), join(dir, name))
  }
  const square = (name: string, seed: number) => tensor(name, [width, width], draws(width * width, seed, 0.5))
  const blocks = Array.from({ length: layers }, (_, layer) =>
    ['q', 'k', 'v'].map((part, i) => square(`toy.${layer}.${part}`, 10 * layer + i + 2)),
  )
  await writeSafetensors({
    path: join(dir, 'model.safetensors'),
    tensors: [
      tensor('toy.embedding', [vocab, width], draws(vocab * width, 1, 1)),
      ...blocks.flat(),
      tensor('toy.norm', [width], new Float32Array(width).fill(1)),
    ],
  })
}

/** 200 documents, a line each. */
export function writeToyText(path: string): void {
  const lines = readFileSync(join(demo, 'datasets/scripture.jsonl'), 'utf8').split('\n', 200)
  const texts = lines.map(line => String(JSON.parse(line).text).replaceAll(/\s+/g, ' ').slice(0, 200))
  writeFileSync(path, `${texts.join('\n')}\n`)
}

/** An SAE of the demo model's width, and activations for it. */
export function toySae(): { sae: Sae; x: Float32Array } {
  const [dIn, dSae] = [256, 8]
  const spans = [{ hook: 'blocks.0.hook_resid_post', width: dIn }]
  const sae: Sae = {
    family: 'standard',
    shape: { dIn, dSae, dOut: dIn },
    groups: [{ latents: [0, dSae], input: [0, dIn], output: [0, dIn] }],
    activation: { kind: 'relu' },
    centred: false,
    normalisation: 'none',
    hooks: { inputs: spans, outputs: spans },
    weights: {
      wEnc: draws(dSae * dIn, 1, 0.1),
      bEnc: draws(dSae, 2, 0.1),
      wDec: draws(dSae * dIn, 3, 0.1),
      bDec: draws(dIn, 4, 0.1),
    },
  }
  return { sae, x: draws(3 * dIn, 5, 1) }
}

/** The SAE in the toy format, its activations beside it. */
export async function writeToySae(dir: string): Promise<void> {
  const { sae, x } = toySae()
  const { dIn, dSae } = sae.shape
  const { wEnc, bEnc, wDec, bDec } = sae.weights
  mkdirSync(dir)
  const config = { hook: sae.hooks.inputs[0].hook, model: 'demo' }
  writeFileSync(join(dir, 'toy.json'), JSON.stringify(config))
  await writeSafetensors({
    path: join(dir, 'weights.safetensors'),
    tensors: [
      tensor('encoder', [dSae, dIn], wEnc),
      tensor('encoder_bias', [dSae], bEnc),
      tensor('decoder', [dSae, dIn], wDec),
      tensor('decoder_bias', [dIn], bDec),
    ],
  })
  await writeSafetensors({
    path: join(dir, 'x.safetensors'),
    tensors: [tensor('activations', [x.length / dIn, dIn], x)],
  })
}

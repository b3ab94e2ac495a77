// The architectures there are, by the `model_type` of config.json. A new one is a file in architectures/ and a
// line here.
import { gpt2 } from './architectures/gpt2.ts'
import { llama } from './architectures/llama.ts'
import type { ModelConfig } from './config.ts'
import type { ConfigReader } from './config_reader.ts'
import type { Hooks, Ops } from './ops.ts'

export type Parameter = { name: string; shape: number[] }

export type Architecture<C> = {
  /** @throws InputError naming the key */
  readConfig(reader: ConfigReader): C
  /** Every weight the forward pass reads, with the shape the config implies. */
  parameters(config: C): Parameter[]
  /** Beginning of parameter names that some checkpoints leave out. */
  prefix: string
  /** The whole forward pass. @returns logits [tokens, vocab] */
  forward<T>(ops: Ops<T>, config: C, hooks: Hooks<T>): T
}

export const architectures = { llama, gpt2 }

/** The forward pass of any config. */
export function decode<T>(ops: Ops<T>, config: ModelConfig, hooks: Hooks<T>): T {
  switch (config.kind) {
    case 'llama':
      return llama.forward(ops, config, hooks)
    case 'gpt2':
      return gpt2.forward(ops, config, hooks)
  }
}

/** The weights a config needs. */
export function parametersOf(config: ModelConfig): { parameters: Parameter[]; prefix: string } {
  switch (config.kind) {
    case 'llama':
      return { parameters: llama.parameters(config), prefix: llama.prefix }
    case 'gpt2':
      return { parameters: gpt2.parameters(config), prefix: gpt2.prefix }
  }
}

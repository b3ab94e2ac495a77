// All architectures. A new one is a file in architectures/ and a line here.
import type { Architecture } from './architecture.ts'
import { gpt2 } from './architectures/gpt2.ts'
import { llama } from './architectures/llama.ts'

export const architectures: readonly Architecture[] = [llama, gpt2]

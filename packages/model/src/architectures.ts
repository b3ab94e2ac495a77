// The architectures there are. A new one is a file in architectures/ and a line here, which imports it where it is listed.
import type { Architecture } from './architecture.ts'

export const architectures: readonly Architecture[] = [
  (await import('./architectures/llama.ts')).llama,
  (await import('./architectures/gpt2.ts')).gpt2,
]

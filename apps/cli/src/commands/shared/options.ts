// Options that several commands share.
import type { OptionTable } from '../../frame/option_table.ts'

export const shared = {
  model: { kind: 'path', value: 'DIR', required: true, help: 'folder of the model (Hugging Face layout)' },
  dataDir: { kind: 'path', value: 'DIR', help: 'data folder (default: MISTUDIO_DATA_DIR, else ./data)' },
  threads: { kind: 'integer', value: 'N', min: 1, max: 256, help: 'compute threads (default: one a core)' },
  seed: {
    kind: 'integer',
    value: 'S',
    min: 0,
    max: 0xffff_ffff,
    default: 0,
    help: 'seed of everything random',
  },
} as const satisfies OptionTable

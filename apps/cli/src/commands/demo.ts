// `mistudio demo`: the main job on the demo model and texts; without a server.

import { defineCommand } from '../frame/command.ts'
import { writableDataFolder } from '../frame/data_folder.ts'
import { presentDemo } from './demo/present.ts'
import type { DemoSpec } from './demo/result.ts'
import { monitorExtraction } from './shared/extraction_monitor.ts'
import { shared } from './shared/options.ts'

export const demo = defineCommand({
  name: 'demo',
  summary: 'train four SAEs on the demo model and show the most readable features',
  details:
    'Tokenizes the four demo datasets, trains four TopK SAEs from one pass of the model, evaluates them on held-out\n' +
    'documents and extracts their features. A second run reuses what is finished.',
  options: {
    'data-dir': shared.dataDir,
    seed: shared.seed,
    threads: shared.threads,
  },
  spec: (values): DemoSpec => ({
    dataDir: writableDataFolder({ option: values['data-dir'] }),
    seed: values.seed,
    threads: values.threads,
  }),
  async job(spec, context) {
    const { lockDataFolder } = await import('@mistudio/studio/lock')
    const { runDemo } = await import('./demo/run.ts')
    const lock = await lockDataFolder({ dataDir: spec.dataDir })
    try {
      return await runDemo(spec, context)
    } finally {
      lock.release()
    }
  },
  monitor: (_, onEvent) => monitorExtraction({ id: 'demo', begin: 'with the extraction', onEvent }),
  present: presentDemo,
  json: ({ saes, extractions, seconds, peak_rss_bytes }) => ({ saes, extractions, seconds, peak_rss_bytes }),
})

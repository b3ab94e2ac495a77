// `mistudio demo`: the main job on the demo model and texts; what `npm start` runs.
import { defineCommand, shared } from '../command.ts'
import { dataFolder, writableFolder } from '../data_folder.ts'
import { presentDemo } from '../demo/present.ts'
import type { DemoSpec } from '../demo/result.ts'
import { monitorExtraction } from '../extraction_monitor.ts'

export const demo = defineCommand({
  name: 'demo',
  summary: 'train four SAEs on the demo model and show the most readable features',
  details:
    'Tokenizes the four demo datasets, trains four TopK SAEs from one pass of the model, evaluates them on held-out\n' +
    'documents and extracts their features. A second run reuses what is finished.',
  options: {
    'data-dir': { kind: 'path', value: 'DIR', help: 'data folder (default: MISTUDIO_DATA_DIR, else ./data)' },
    seed: shared.seed,
    threads: shared.threads,
  },
  spec: (values): DemoSpec => ({
    dataDir: writableFolder({
      path: dataFolder({ option: values['data-dir'], env: process.env }),
      field: values['data-dir'] === undefined ? 'MISTUDIO_DATA_DIR' : '--data-dir',
    }),
    seed: values.seed,
    threads: values.threads,
  }),
  async job(spec, context) {
    const { runDemo } = await import('../demo/run.ts')
    return runDemo(spec, context)
  },
  monitor: (_, onEvent) => monitorExtraction({ id: 'demo', begin: 'with the extraction', onEvent }),
  present: presentDemo,
  json: ({ saes, extractions, seconds, peak_rss_bytes }) => ({ saes, extractions, seconds, peak_rss_bytes }),
})

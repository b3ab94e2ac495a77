// NLP: what the top examples of every feature of an extraction have in common, a JSON line each.
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { createNlpAnalyser, type Extraction, openExtraction } from '@mistudio/feature'
import { replaceFile } from '@mistudio/files'
import { progressRule, type RunnerContext, type Work } from './context.ts'
import type { NlpLine, NlpSpec } from './spec.ts'

export const nlp: Work<'nlp'> = async (spec, context) => {
  const extraction = await openExtraction({ dir: spec.extractionDir })
  // Written as it comes, put in place once whole: a wide SAE's lines are too many for memory.
  const path = join(spec.out, 'nlp.jsonl')
  const growing = `${path}.part`
  try {
    const { features, complete } = await writeLines({ extraction, path: growing, spec, context })
    replaceFile({ path, write: temporary => renameSync(growing, temporary) })
    return { kind: 'nlp', features, complete }
  } finally {
    rmSync(growing, { force: true })
    extraction.close()
  }
}

async function writeLines(options: {
  extraction: Extraction
  path: string
  spec: NlpSpec
  context: RunnerContext
}): Promise<{ features: number; complete: boolean }> {
  const { extraction, path, spec, context } = options
  const total = extraction.info.featuresInHeap
  const due = progressRule()
  let features = 0
  const report = () => {
    const progress = total === 0 ? 1 : Math.min(1, features / total)
    if (!due(progress)) return
    const data = {
      extraction_id: spec.extractionId,
      nlp_progress: progress,
      nlp_processed_count: features,
      nlp_total_count: total,
    }
    context.emit({ event: 'extraction:nlp_progress', data })
  }
  report()
  const file = openSync(path, 'w')
  try {
    const analyser = createNlpAnalyser()
    for await (const { feature, examples } of extraction.topExamples()) {
      if (context.signal.stopped()) return { features, complete: false }
      const line: NlpLine = { feature, nlp: analyser.analyse({ examples }) }
      writeSync(file, `${JSON.stringify(line)}\n`)
      features++
      report()
      // Messages to the host leave between features.
      await turn()
    }
    return { features, complete: true }
  } finally {
    closeSync(file)
  }
}

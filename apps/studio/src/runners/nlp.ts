// NLP: what the top examples of every feature of an extraction have in common, a JSON line each.
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { createNlpAnalyser, openExtraction } from '@mistudio/feature'
import { writeFileAtomic } from '@mistudio/tensor'
import { throttle, type Work } from './context.ts'
import type { NlpLine } from './spec.ts'

const progressSeconds = 1

export const nlp: Work<'nlp'> = async ({ extractionId, extractionDir, out }, { emit, signal }) => {
  const extraction = await openExtraction({ dir: extractionDir })
  try {
    const total = extraction.info.featuresInHeap
    const analyser = createNlpAnalyser()
    const due = throttle(progressSeconds)
    const lines: string[] = []
    let complete = true
    const report = (always: boolean) => {
      if (!due(always)) return
      const data = {
        extraction_id: extractionId,
        nlp_progress: total === 0 ? 1 : Math.min(1, lines.length / total),
        nlp_processed_count: lines.length,
        nlp_total_count: total,
      }
      emit({ event: 'extraction:nlp_progress', data })
    }
    report(true)
    for await (const { feature, examples } of extraction.topExamples()) {
      const line: NlpLine = { feature, nlp: analyser.analyse({ examples }) }
      lines.push(JSON.stringify(line))
      report(false)
      // Messages to the host leave, and its stop arrives, between features.
      await turn()
      if (signal.stopped()) {
        complete = false
        break
      }
    }
    writeFileAtomic(join(out, 'nlp.jsonl'), lines.map(line => `${line}\n`).join(''))
    report(true)
    return { kind: 'nlp', features: lines.length, complete }
  } finally {
    extraction.close()
  }
}

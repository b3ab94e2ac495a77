// What the examples of a feature say in words.
import type { NlpSummary } from '@mistudio/contract'
import { ShareList } from '../../charts/bars.tsx'
import { formatNumberOf } from '../../parts/format.ts'

export function NlpWords({ nlp }: { nlp: NlpSummary | null }) {
  if (nlp === null) {
    return (
      <p className="text-soft">
        –{' '}
        <span className="text-mute">
          Not analysed: the analysis was not asked for, has not come here yet, or there are no examples.
        </span>
      </p>
    )
  }
  return (
    <div className="space-y-4" data-testid="nlp-summary">
      <p className="max-w-3xl leading-relaxed">{nlp.summary}</p>
      <div className="grid gap-x-6 gap-y-4 sm:grid-cols-2 lg:grid-cols-4">
        <ShareList title="Peak words" items={nlp.peak_words} />
        <ShareList title="Parts of speech" items={nlp.parts_of_speech} />
        <ShareList title="Word before" items={nlp.before} />
        <ShareList title="Word after" items={nlp.after} />
        <ShareList title="Words around" about="stop words left out" items={nlp.words} />
        <ShareList title="Bigrams" items={nlp.bigrams} />
        <ShareList title="Trigrams" items={nlp.trigrams} />
      </div>
      <p className="text-xs text-mute">Counted over {formatNumberOf(nlp.examples, 'top example')}.</p>
    </div>
  )
}

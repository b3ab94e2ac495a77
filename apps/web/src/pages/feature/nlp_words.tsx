// The words in and around the examples of a feature.
import type { NlpSummary } from '@mistudio/contract'
import { BarList } from '../../charts/bar_list.tsx'
import { formatCount, formatNumberOf } from '../../parts/format.ts'

export function NlpWords({ nlp }: { nlp: NlpSummary | null }) {
  if (nlp === null) {
    return (
      <p className="text-mute">
        Not analysed: no analysis was requested, it has not reached this feature yet, or there are no
        examples.
      </p>
    )
  }
  return (
    <div className="space-y-4" data-testid="nlp-summary">
      <p className="max-w-3xl leading-relaxed">{nlp.summary}</p>
      <div className="grid gap-x-6 gap-y-4 sm:grid-cols-2 lg:grid-cols-4">
        <Counted title="Peak words" items={nlp.peak_words} />
        <Counted title="Parts of speech" items={nlp.parts_of_speech} />
        <Counted title="Word before" items={nlp.before} />
        <Counted title="Word after" items={nlp.after} />
        <Counted title="Words around" about="without stop words" items={nlp.words} />
        <Counted title="Bigrams" items={nlp.bigrams} />
        <Counted title="Trigrams" items={nlp.trigrams} />
      </div>
      <p className="text-xs text-mute">Counted over {formatNumberOf(nlp.examples, 'top example')}.</p>
    </div>
  )
}

/** The most common first. */
function Counted(props: { title: string; about?: string; items: NlpSummary['words'] }) {
  const { title, about, items } = props
  const rows = items.map(({ text, count, share }) => ({
    key: text,
    text,
    note: `${formatCount(count)} · ${Math.round(share * 100)}%`,
    share,
  }))
  return <BarList title={title} about={about} rows={rows} />
}

// One feature: its figures, its examples as heat maps, its effect on the output, and the words it fires on.
import { type FeatureDetail, featureIdOf, parseFeatureId } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { ChevronLeft, ChevronRight } from 'lucide-react'
import type { ReactNode } from 'react'
import { queries } from '../../api.ts'
import { type Bin, Histogram } from '../../charts/histogram.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import { definitions } from '../../parts/definitions.tsx'
import { DetailPage } from '../../parts/detail_page.tsx'
import { formatCount, formatFigure, formatPercent, formatTick } from '../../parts/format.ts'
import { Definition, Figure } from '../../parts/hint.tsx'
import { Metric, Metrics, Page, Section } from '../../parts/page.tsx'
import { Examples } from './examples.tsx'
import { Logits } from './logits.tsx'
import { NlpWords } from './nlp_words.tsx'

export default function FeaturePage() {
  const { id } = useParams({ from: '/features/$id' })
  return (
    <DetailPage kind="Feature" query={useQuery(queries.feature(id))}>
      {feature => <Detail feature={feature} />}
    </DetailPage>
  )
}

function Detail({ feature }: { feature: FeatureDetail }) {
  const { extraction_id, sae_name, model_name, hook_point, dataset_names, split } = feature
  return (
    <Page
      title={`Feature ${feature.feature}`}
      above={[
        <TextLink key="extraction" to="/extractions/$id" params={{ id: extraction_id }}>
          {sae_name}
        </TextLink>,
        <TextLink key="features" to="/extractions/$id/features" params={{ id: extraction_id }}>
          Features
        </TextLink>,
      ]}
      lead={
        <>
          {model_name}, <span className="font-mono text-xs">{hook_point}</span>, on {dataset_names.join(', ')}{' '}
          ({split})
        </>
      }
      actions={<Neighbours feature={feature} />}
    >
      <div className="mb-6">
        <Figures feature={feature} />
      </div>
      <div className="grid gap-x-6 lg:grid-cols-[1fr_22rem]">
        <div className="min-w-0">
          <Examples feature={feature} />
        </div>
        <div className="min-w-0">
          <Titled title="Histogram" about={definitions.histogram}>
            <Histogram
              label="Histogram of activations"
              unit="tokens"
              bins={feature.histogram.map(binOf)}
              empty="It never fired."
              tall
            />
          </Titled>
          <Titled title="Logits" about={definitions.logits}>
            <Logits feature={feature} />
          </Titled>
        </div>
      </div>
      <Titled title="Words" about={definitions.nlp}>
        <NlpWords nlp={feature.nlp} />
      </Titled>
    </Page>
  )
}

function Figures({ feature }: { feature: FeatureDetail }) {
  const neverFired = 'it never fired'
  return (
    <Metrics>
      <Metric
        name="Density"
        about={<Definition of="density" text={definitions.density} />}
        note={feature.tokens === null ? undefined : `of ${formatCount(feature.tokens)} tokens`}
      >
        <Figure value={feature.density} format={formatPercent} why="no tokens were read" />
      </Metric>
      <Metric name="Fired" about={<Definition of="fired" text={definitions.fired} />} note="tokens">
        {formatCount(feature.fired)}
      </Metric>
      <Metric name="Max" about={<Definition of="max" text={definitions.max} />}>
        <Figure value={feature.max} format={formatFigure} why={neverFired} />
      </Metric>
      <Metric name="Mean" about={<Definition of="mean" text={definitions.mean} />}>
        <Figure value={feature.mean} format={formatFigure} why={neverFired} />
      </Metric>
      <Metric name="Readability" about={<Definition of="readability" text={definitions.readability} />}>
        {feature.readability.toFixed(3)}
      </Metric>
      <Metric name="Top examples" about={<Definition of="a top example" text={definitions.top_examples} />}>
        {formatCount(feature.top_examples)}
      </Metric>
    </Metrics>
  )
}

/** Bins are powers of two, so equal widths are equal ratios. */
const binOf = ({ low, high, tokens }: FeatureDetail['histogram'][number]): Bin => ({
  name: high === null ? `${formatTick(low)} or more` : `${formatTick(low)} to ${formatTick(high)}`,
  mark: formatTick(low, 2),
  count: tokens,
})

const Titled = ({ title, about, children }: { title: string; about: string; children: ReactNode }) => (
  <Section title={title} aside={<Definition of={title.toLowerCase()} text={about} />}>
    <div className="panel p-3">{children}</div>
  </Section>
)

/** Links to the features numbered one below and one above. */
function Neighbours({ feature }: { feature: FeatureDetail }) {
  const { extractionId } = parseFeatureId(feature.id)
  const extraction = useQuery(queries.extraction(extractionId))
  const last = (extraction.data?.features ?? 0) - 1
  const idOf = (number: number) => featureIdOf({ extractionId, feature: number })
  return (
    <>
      <Neighbour id={idOf(feature.feature - 1)} name="Previous feature" disabled={feature.feature <= 0}>
        <ChevronLeft aria-hidden />
      </Neighbour>
      <Neighbour id={idOf(feature.feature + 1)} name="Next feature" disabled={feature.feature >= last}>
        <ChevronRight aria-hidden />
      </Neighbour>
    </>
  )
}

function Neighbour(props: { id: string; name: string; disabled: boolean; children: ReactNode }) {
  const { id, name, disabled, children } = props
  return (
    <LinkButton
      to="/features/$id"
      params={{ id }}
      disabled={disabled}
      className={disabled ? 'pointer-events-none opacity-50' : ''}
      aria-label={name}
    >
      {children}
    </LinkButton>
  )
}

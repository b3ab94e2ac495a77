// One feature: its figures, its examples with heat, what it writes to the output, what its words are.
import { type FeatureDetail, featureIdOf, parseFeatureId } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { ChevronLeft, ChevronRight } from 'lucide-react'
import type { ReactNode } from 'react'
import { queries } from '../../api.ts'
import { Histogram } from '../../charts/bars.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import { definitions } from '../../parts/definitions.tsx'
import { formatCount, formatFigure, formatPercent } from '../../parts/format.ts'
import { Definition, Figure } from '../../parts/hint.tsx'
import { Metric, Metrics, Page, Section } from '../../parts/page.tsx'
import { Pending } from '../../parts/problem.tsx'
import { Examples } from './examples.tsx'
import { Logits } from './logits.tsx'
import { NlpWords } from './nlp_words.tsx'

export function FeaturePage() {
  const { id } = useParams({ from: '/features/$id' })
  const feature = useQuery(queries.feature(id))
  if (feature.data === undefined) {
    return (
      <Page title="Feature">
        <Pending query={feature} what="the feature" />
      </Page>
    )
  }
  return <Detail key={id} feature={feature.data} />
}

function Detail({ feature }: { feature: FeatureDetail }) {
  const { extraction_id, sae_name, model_name, hook_point, dataset_names, split } = feature
  const neverFired = 'it fired at no token'
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
        <Metrics>
          <Metric
            name="Density"
            about={<Definition of="density" text={definitions.density} />}
            note={feature.tokens === null ? undefined : `of ${formatCount(feature.tokens)} tokens`}
          >
            <Figure value={feature.density} format={formatPercent} why="no token was read" />
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
          <Metric
            name="Top examples"
            about={<Definition of="a top example" text={definitions.top_examples} />}
          >
            {formatCount(feature.top_examples)}
          </Metric>
        </Metrics>
      </div>
      <div className="grid gap-x-6 lg:grid-cols-[1fr_22rem]">
        <div className="min-w-0">
          <Examples feature={feature} />
        </div>
        <div className="min-w-0">
          <Titled title="Histogram" about={definitions.histogram}>
            <Histogram bins={feature.histogram} />
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

const Titled = ({ title, about, children }: { title: string; about: string; children: ReactNode }) => (
  <Section title={title} aside={<Definition of={title.toLowerCase()} text={about} />}>
    <div className="panel p-3">{children}</div>
  </Section>
)

/** The features with the next smaller and larger number. */
function Neighbours({ feature }: { feature: FeatureDetail }) {
  const { extractionId } = parseFeatureId(feature.id)
  const extraction = useQuery(queries.extraction(extractionId))
  const last = (extraction.data?.features ?? 0) - 1
  const to = (number: number) => ({ id: featureIdOf({ extractionId, feature: number }) })
  return (
    <>
      <LinkButton
        to="/features/$id"
        params={to(feature.feature - 1)}
        disabled={feature.feature <= 0}
        className={feature.feature <= 0 ? 'pointer-events-none opacity-50' : ''}
        aria-label="Feature before"
      >
        <ChevronLeft aria-hidden />
      </LinkButton>
      <LinkButton
        to="/features/$id"
        params={to(feature.feature + 1)}
        disabled={feature.feature >= last}
        className={feature.feature >= last ? 'pointer-events-none opacity-50' : ''}
        aria-label="Next feature"
      >
        <ChevronRight aria-hidden />
      </LinkButton>
    </>
  )
}

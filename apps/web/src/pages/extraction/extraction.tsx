// One extraction, live: its progress, the charts since its start, its analysis and its batch.
import { channelOf, type Extraction } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { TableProperties } from 'lucide-react'
import type { ReactNode } from 'react'
import { queries } from '../../api.ts'
import { useHistory } from '../../live/live.ts'
import { BatchBadge, StageBadge } from '../../parts/badge.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import { DetailPage } from '../../parts/detail_page.tsx'
import { Facts } from '../../parts/facts.tsx'
import { formatCount, formatSetting } from '../../parts/format.ts'
import { Page, Section } from '../../parts/page.tsx'
import { ExtractionActions } from './actions.tsx'
import { BatchList } from './batch.tsx'
import { Graphs } from './graphs.tsx'
import { Nlp } from './nlp.tsx'
import { Progress } from './progress.tsx'

const above = [
  <TextLink key="extractions" to="/extractions">
    Extractions
  </TextLink>,
]

export default function ExtractionPage() {
  const { id } = useParams({ from: '/extractions/$id' })
  return (
    <DetailPage kind="Extraction" query={useQuery(queries.extraction(id))} above={above}>
      {extraction => <Card extraction={extraction} />}
    </DetailPage>
  )
}

function Card({ extraction }: { extraction: Extraction }) {
  const { id, status, sae_name, model_name, hook_point, dataset_names, batch_id, error_message } = extraction
  const events = useHistory(channelOf.extraction(id))
  return (
    <Page
      title={sae_name}
      above={above}
      aside={
        <>
          <StageBadge of={extraction} />
          <BatchBadge position={extraction.batch_position} total={extraction.batch_total} />
        </>
      }
      lead={
        <>
          {model_name}, <span className="font-mono text-xs">{hook_point}</span>, on {dataset_names.join(', ')}
        </>
      }
      actions={
        <>
          <ExtractionActions extraction={extraction} />
          {status === 'completed' && (
            <LinkButton look="primary" to="/extractions/$id/features" params={{ id }}>
              <TableProperties aria-hidden />
              Features
            </LinkButton>
          )}
        </>
      }
      problem={error_message}
    >
      <Progress extraction={extraction} events={events} />
      <Graphs events={events} />
      <Section title="NLP analysis">
        <Nlp extraction={extraction} events={events} />
      </Section>
      {batch_id !== null && (
        <Section title="Batch" aside="One at a time: each starts once the previous analysis has finished">
          <BatchList batchId={batch_id} current={id} />
        </Section>
      )}
      <Facts title="Settings and results" rows={factsOf(extraction)} />
    </Page>
  )
}

function factsOf({ config, tokens, features_alive, complete, training_id }: Extraction) {
  const known = (value: number | null) =>
    value === null ? 'known once it has completed' : formatCount(value)
  const rows: [string, ReactNode][] = [
    ...Object.entries(config).map(([name, value]): [string, string] => [name, formatSetting(value)]),
    ['tokens read', known(tokens)],
    ['features that fired', known(features_alive)],
  ]
  if (complete === false) rows.push(['ended early', 'what was read is kept'])
  const training =
    training_id === null ? (
      'none: the SAE was imported from a folder'
    ) : (
      <TextLink to="/trainings/$id" params={{ id: training_id }}>
        training of this SAE
      </TextLink>
    )
  return [...rows, ['training', training] as const]
}

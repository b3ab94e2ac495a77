// The start: what runs, what is there, and what to do first.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { queries } from '../../api.ts'
import { BatchBadge, StageBadge, StatusBadge } from '../../parts/badge.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import { formatCount, formatNumberOf, formatTime } from '../../parts/format.ts'
import { Empty, Page, Section } from '../../parts/page.tsx'
import { Pending, ProblemBox } from '../../parts/problem.tsx'
import { JobList } from './jobs.tsx'

const latest = 5

export function Home() {
  const jobs = useQuery(queries.activeJobs())
  const datasets = useQuery(queries.datasets())
  const models = useQuery(queries.models())
  const trainings = useQuery(queries.trainings())
  const saes = useQuery(queries.saes())
  const extractions = useQuery(queries.extractions())
  const collections = [datasets, models, trainings, saes, extractions]
  const failed = collections.find(({ error }) => error !== null)
  const counts: { name: string; to: string; count: number | undefined }[] = [
    { name: 'Datasets', to: '/datasets', count: datasets.data?.pagination.total },
    { name: 'Models', to: '/models', count: models.data?.pagination.total },
    { name: 'Trainings', to: '/trainings', count: trainings.data?.pagination.total },
    { name: 'SAEs', to: '/saes', count: saes.data?.pagination.total },
    { name: 'Extractions', to: '/extractions', count: extractions.data?.pagination.total },
  ]
  return (
    <Page
      title="Home"
      lead="Train sparse autoencoders on a language model, and read the features they find."
      actions={
        <>
          <LinkButton to="/trainings/new">Start a training</LinkButton>
          <LinkButton to="/extractions/new" look="primary">
            Start an extraction
          </LinkButton>
        </>
      }
    >
      {failed !== undefined && (
        <div className="mb-4">
          <ProblemBox
            error={failed.error}
            onRetry={() => Promise.all(collections.map(collection => collection.refetch()))}
          />
        </div>
      )}
      <Section title="What runs">
        {jobs.data === undefined ? (
          <Pending query={jobs} what="jobs" />
        ) : jobs.data.data.length === 0 ? (
          <Empty>Nothing runs now.</Empty>
        ) : (
          <JobList jobs={jobs.data.data} />
        )}
      </Section>
      <Section title="What is there">
        <ul className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-5">
          {counts.map(({ name, to, count }) => (
            <li key={name}>
              <Link to={to} className="panel block px-3 py-2.5 hover:border-accent">
                <span className="block text-2xl font-semibold" data-testid={`count-${name.toLowerCase()}`}>
                  {count === undefined ? <span className="text-mute">…</span> : formatCount(count)}
                </span>
                <span className="text-soft">{name}</span>
              </Link>
            </li>
          ))}
        </ul>
      </Section>
      <div className="grid gap-x-6 lg:grid-cols-2">
        <Latest
          title="Latest trainings"
          to="/trainings"
          rows={trainings.data?.data.slice(0, latest).map(training => ({
            id: training.id,
            link: (
              <TextLink to="/trainings/$id" params={{ id: training.id }}>
                {training.name}
              </TextLink>
            ),
            note: `${training.model_name}, ${formatNumberOf(training.saes.length, 'SAE')}`,
            badge: <StatusBadge status={training.status} />,
          }))}
        />
        <Latest
          title="Latest extractions"
          to="/extractions"
          rows={extractions.data?.data.slice(0, latest).map(extraction => ({
            id: extraction.id,
            link: (
              <TextLink to="/extractions/$id" params={{ id: extraction.id }}>
                {extraction.sae_name}
              </TextLink>
            ),
            note: extraction.dataset_names.join(', '),
            badge: (
              <>
                <BatchBadge position={extraction.batch_position} total={extraction.batch_total} />
                <StageBadge of={extraction} />
              </>
            ),
          }))}
        />
        <Latest
          title="Latest SAEs"
          to="/saes"
          rows={saes.data?.data.slice(0, latest).map(sae => ({
            id: sae.id,
            link: (
              <TextLink to="/saes" search={{ search: sae.name }}>
                {sae.name}
              </TextLink>
            ),
            note: `${sae.hook_point}, ${formatCount(sae.d_sae)} latents`,
            badge: <span className="text-xs text-mute">{formatTime(sae.created_at)}</span>,
          }))}
        />
      </div>
    </Page>
  )
}

function Latest(props: {
  title: string
  to: string
  rows: { id: string; link: ReactNode; note: string; badge: ReactNode }[] | undefined
}) {
  const { title, to, rows } = props
  return (
    <Section title={title} aside={<TextLink to={to}>All</TextLink>}>
      {rows === undefined ? (
        <p className="p-3 text-mute">…</p>
      ) : rows.length === 0 ? (
        <Empty>None yet.</Empty>
      ) : (
        <ul className="panel divide-y divide-line">
          {rows.map(({ id, link, note, badge }) => (
            <li key={id} className="flex items-center justify-between gap-3 px-3 py-2">
              <div className="min-w-0">
                <p className="truncate">{link}</p>
                <p className="truncate text-xs text-mute">{note}</p>
              </div>
              <div className="flex shrink-0 gap-1.5">{badge}</div>
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

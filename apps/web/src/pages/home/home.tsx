// The home page: what is running, what there is, and what to do first.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { queries } from '../../api.ts'
import { LinkButton } from '../../parts/button.tsx'
import { formatCount } from '../../parts/format.ts'
import { Loaded, together } from '../../parts/loaded.tsx'
import { Empty, Page, Section } from '../../parts/page.tsx'
import { JobList } from './jobs.tsx'
import { LatestExtractions, LatestSaes, LatestTrainings } from './latest.tsx'

export default function Home() {
  const jobs = useQuery(queries.activeJobs())
  const datasets = useQuery(queries.datasets())
  const models = useQuery(queries.models())
  const trainings = useQuery(queries.trainings())
  const saes = useQuery(queries.saes())
  const extractions = useQuery(queries.extractions())
  const all = together(datasets, models, trainings, saes, extractions)
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
      problem={all.error}
      onRetry={all.refetch}
    >
      <Section title="Active jobs">
        <Loaded query={jobs} what="jobs">
          {({ data }) => (data.length === 0 ? <Empty>Nothing is running.</Empty> : <JobList jobs={data} />)}
        </Loaded>
      </Section>
      <Section title="Overview">
        <ul className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-5">
          <Count name="Datasets" to="/datasets" list={datasets.data} />
          <Count name="Models" to="/models" list={models.data} />
          <Count name="Trainings" to="/trainings" list={trainings.data} />
          <Count name="SAEs" to="/saes" list={saes.data} />
          <Count name="Extractions" to="/extractions" list={extractions.data} />
        </ul>
      </Section>
      <div className="grid gap-x-6 lg:grid-cols-2">
        <LatestTrainings trainings={trainings.data?.data} />
        <LatestExtractions extractions={extractions.data?.data} />
        <LatestSaes saes={saes.data?.data} />
      </div>
    </Page>
  )
}

function Count(props: { name: string; to: string; list: { pagination: { total: number } } | undefined }) {
  const { name, to, list } = props
  return (
    <li>
      <Link to={to} className="panel block px-3 py-2.5 hover:border-accent">
        <span className="block text-2xl font-semibold" data-testid={`count-${name.toLowerCase()}`}>
          {list === undefined ? <span className="text-mute">…</span> : formatCount(list.pagination.total)}
        </span>
        <span className="text-soft">{name}</span>
      </Link>
    </li>
  )
}

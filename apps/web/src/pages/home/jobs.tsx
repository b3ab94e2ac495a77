// Jobs that have not ended, live.
import { type Job, jobKindNames } from '@mistudio/contract'
import { Link } from '@tanstack/react-router'
import { partsOf } from '../../live/apply.ts'
import { useLive } from '../../live/live.ts'
import { Badge, StatusBadge } from '../../parts/badge.tsx'
import { ProgressBar } from '../../parts/progress.tsx'

export const JobList = ({ jobs }: { jobs: Job[] }) => (
  <ul className="panel divide-y divide-line" aria-label="Jobs">
    {jobs.toSorted(byTurn).map(job => (
      <JobRow key={job.id} job={job} />
    ))}
  </ul>
)

/** Running jobs first, then the queue in its order. */
const byTurn = (a: Job, b: Job) =>
  Number(b.status === 'running') - Number(a.status === 'running') || a.created_at.localeCompare(b.created_at)

function JobRow({ job }: { job: Job }) {
  useLive(job.status === 'running' ? job.entity : null)
  return (
    <li
      className="grid grid-cols-[1fr_auto] items-center gap-x-4 gap-y-1.5 px-3 py-2.5 md:grid-cols-[1fr_6rem_18rem]"
      data-testid="job"
    >
      <div className="flex min-w-0 items-center gap-2">
        <Badge>{jobKindNames[job.kind]}</Badge>
        <EntityLink job={job} />
      </div>
      <div>
        <StatusBadge status={job.status} />
      </div>
      <div className="max-md:col-span-2">
        <ProgressBar share={job.progress} label={`Progress of ${job.title}`} />
      </div>
    </li>
  )
}

function EntityLink({ job }: { job: Job }) {
  const { collection, id } = partsOf(job.entity)
  const className = 'truncate rounded-sm font-medium hover:text-accent hover:underline'
  switch (collection) {
    case 'trainings':
      return (
        <Link to="/trainings/$id" params={{ id }} className={className}>
          {job.title}
        </Link>
      )
    case 'extractions':
      return (
        <Link to="/extractions/$id" params={{ id }} className={className}>
          {job.title}
        </Link>
      )
    default:
      return (
        <Link to="/datasets" className={className}>
          {job.title}
        </Link>
      )
  }
}

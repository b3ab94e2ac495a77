// All extractions, live; the start dialog lies over them at an address of its own.
import { channelOf, type Extraction, stageOf, stages } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Outlet } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { queries } from '../../api.ts'
import { useLive } from '../../live/live.ts'
import { BatchBadge, StageBadge } from '../../parts/badge.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import { type Column, DataTable } from '../../parts/data_table.tsx'
import { formatCount, formatShort, formatTime } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { More } from '../../parts/more.tsx'
import { Empty, Page } from '../../parts/page.tsx'
import { Pending } from '../../parts/problem.tsx'
import { ProgressBar } from '../../parts/progress.tsx'
import { isActive } from './active.ts'

const columns: Column<Extraction>[] = [
  {
    name: 'SAE',
    head: true,
    cell: ({ id, sae_name, hook_point, batch_position, batch_total }) => (
      <>
        <span className="flex flex-wrap items-center gap-x-2">
          <TextLink to="/extractions/$id" params={{ id }}>
            {sae_name}
          </TextLink>
          <BatchBadge position={batch_position} total={batch_total} />
        </span>
        <p className="font-mono text-xs font-normal break-all text-mute">{hook_point}</p>
      </>
    ),
  },
  { name: 'Model', cell: ({ model_name }) => model_name },
  { name: 'Datasets', wraps: true, cell: ({ dataset_names }) => dataset_names.join(', ') },
  { name: 'Tokens', right: true, cell: ({ config }) => `up to ${formatShort(config.max_tokens)}` },
  {
    name: 'Features',
    right: true,
    cell: ({ id, features_alive }) => (
      <Figure
        value={features_alive}
        format={alive => (
          <TextLink to="/extractions/$id/features" params={{ id }}>
            {formatCount(alive)}
          </TextLink>
        )}
        why="known when it is completed"
      />
    ),
  },
  { name: 'Stage', cell: extraction => <State extraction={extraction} /> },
  { name: 'Started', wideOnly: true, cell: ({ created_at }) => formatTime(created_at) },
]

export function Extractions() {
  const extractions = useQuery(queries.extractions())
  const [stage, setStage] = useState('')
  const start = (
    <LinkButton to="/extractions/new" look="primary">
      <Plus aria-hidden />
      Start an extraction
    </LinkButton>
  )
  const shown = extractions.data?.data.filter(row => stage === '' || stageOf(row) === stage) ?? []
  return (
    <Page
      title="Extractions"
      lead="What an SAE's latents fire on: examples, statistics, an analysis of the words."
      actions={
        <>
          <select
            aria-label="Stage"
            className="field-box w-auto"
            value={stage}
            onChange={event => setStage(event.target.value)}
          >
            <option value="">All stages</option>
            {stages.map(name => (
              <option key={name}>{name}</option>
            ))}
          </select>
          {start}
        </>
      }
    >
      {extractions.data === undefined ? (
        <Pending query={extractions} what="extractions" />
      ) : extractions.data.data.length === 0 ? (
        <Empty action={start}>No extraction yet.</Empty>
      ) : shown.length === 0 ? (
        <Empty>No extraction is {stage}.</Empty>
      ) : (
        <>
          <DataTable label="Extractions" columns={columns} rows={shown} keyOf={({ id }) => id} />
          <More page={extractions.data} />
        </>
      )}
      <Outlet />
    </Page>
  )
}

function State({ extraction }: { extraction: Extraction }) {
  const stage = stageOf(extraction)
  useLive(isActive(extraction) ? channelOf.extraction(extraction.id) : null)
  return (
    <div className="min-w-36 space-y-1">
      <StageBadge of={extraction} />
      {stage === 'EXTRACTING' && (
        <ProgressBar small share={extraction.progress} label={`Progress of ${extraction.sae_name}`} />
      )}
      {stage === 'NLP_ANALYSIS' && (
        <ProgressBar small share={extraction.nlp_progress} label={`Analysis of ${extraction.sae_name}`} />
      )}
      {extraction.nlp_status === 'failed' && <p className="text-xs text-bad">NLP failed</p>}
    </div>
  )
}

// All extractions, live. The start dialog opens over them, at an address of its own.
import { type Extraction, stageOf, stages } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { Outlet } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { queries } from '../../api.ts'
import { channelWhileActive } from '../../live/active.ts'
import { BatchBadge, StageBadge } from '../../parts/badge.tsx'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import type { Column } from '../../parts/data_table.tsx'
import { formatCount, formatShort, formatTime } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { ListPage } from '../../parts/list.tsx'
import { ProgressBar } from '../../parts/progress.tsx'

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
        why="known once it has completed"
      />
    ),
  },
  { name: 'Stage', cell: extraction => <State extraction={extraction} /> },
  { name: 'Created', wideOnly: true, cell: ({ created_at }) => formatTime(created_at) },
]

export default function Extractions() {
  const [stage, setStage] = useState('')
  const start = (
    <LinkButton to="/extractions/new" look="primary">
      <Plus aria-hidden />
      Start an extraction
    </LinkButton>
  )
  return (
    <ListPage
      title="Extractions"
      lead="What each latent of an SAE fires on: examples, statistics and an analysis of the words."
      actions={
        <>
          <StageFilter stage={stage} onChoose={setStage} />
          {start}
        </>
      }
      query={useQuery(queries.extractions())}
      columns={columns}
      empty={{ text: 'No extractions yet.', action: start }}
      filter={
        stage === ''
          ? undefined
          : { keep: row => stageOf(row) === stage, noMatch: `No extractions are ${stage}.` }
      }
      channelOf={channelWhileActive.extraction}
    >
      <Outlet />
    </ListPage>
  )
}

function StageFilter({ stage, onChoose }: { stage: string; onChoose: (stage: string) => void }) {
  return (
    <select
      aria-label="Stage"
      className="field-box w-auto"
      value={stage}
      onChange={event => onChoose(event.target.value)}
    >
      <option value="">All stages</option>
      {stages.map(name => (
        <option key={name}>{name}</option>
      ))}
    </select>
  )
}

function State({ extraction }: { extraction: Extraction }) {
  const stage = stageOf(extraction)
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

// One training, live: its progress, what every SAE measures, and the curves since its start.
import { channelOf, type Training } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { PackagePlus } from 'lucide-react'
import { useMemo } from 'react'
import { queries } from '../../api.ts'
import { Frontier } from '../../charts/frontier.tsx'
import { trainingCurves } from '../../charts/points.ts'
import { useHistory } from '../../live/live.ts'
import { HookBadges, StatusBadge } from '../../parts/badge.tsx'
import { Button, TextLink } from '../../parts/button.tsx'
import { DetailPage } from '../../parts/detail_page.tsx'
import { Facts } from '../../parts/facts.tsx'
import { formatSetting, settingText } from '../../parts/format.ts'
import { Page, Section } from '../../parts/page.tsx'
import { ImportDialog } from '../saes/import_dialog.tsx'
import { TrainingActions } from './actions.tsx'
import { Checkpoints } from './checkpoints.tsx'
import { Curves } from './curves.tsx'
import { Measured } from './measured.tsx'
import { Members } from './members.tsx'
import { Progress } from './progress.tsx'
import { Warnings } from './warnings.tsx'

const above = [
  <TextLink key="trainings" to="/trainings">
    Trainings
  </TextLink>,
]

export default function TrainingPage() {
  const { id } = useParams({ from: '/trainings/$id' })
  return (
    <DetailPage kind="Training" query={useQuery(queries.training(id))} above={above}>
      {training => <Card training={training} />}
    </DetailPage>
  )
}

function Card({ training }: { training: Training }) {
  const { id, name, status, model_name, dataset_names, hook_types, error_message } = training
  const navigate = useNavigate()
  const { dialog } = useSearch({ from: '/trainings/$id' })
  const events = useHistory(channelOf.training(id))
  const curves = useMemo(() => trainingCurves(events), [events])
  const importing = (open: boolean) =>
    navigate({ to: '/trainings/$id', params: { id }, search: open ? { dialog: 'import' } : {} })
  return (
    <Page
      title={name}
      above={above}
      aside={
        <>
          <StatusBadge status={status} />
          <HookBadges types={hook_types} />
        </>
      }
      lead={`${model_name} on ${dataset_names.join(', ')}`}
      actions={
        <>
          <TrainingActions training={training} />
          <ImportButton available={training.saes_available} onClick={() => importing(true)} />
        </>
      }
      problem={error_message}
    >
      <Progress training={training} />
      <Warnings training={training} />
      <Section title="SAEs" aside="Means over the steps since the previous report">
        <Members training={training} />
      </Section>
      <FrontierSection training={training} />
      <Curves curves={curves} />
      <Measured training={training} />
      <Checkpoints training={training} />
      <Facts title="Settings" rows={settingsOf(training)} />
      <ImportDialog open={dialog === 'import'} onClose={() => importing(false)} trainingId={id} />
    </Page>
  )
}

const ImportButton = ({ available, onClick }: { available: boolean; onClick: () => void }) => (
  <Button
    look={available ? 'primary' : 'plain'}
    disabled={!available}
    title={available ? undefined : 'Available once the training has completed, or was stopped and finalised.'}
    onClick={onClick}
  >
    <PackagePlus aria-hidden />
    Import SAEs
  </Button>
)

/** Shown where there is something to compare: two or more measured SAEs of different settings. */
function FrontierSection({ training }: { training: Training }) {
  const points = training.saes.flatMap(({ name, inputs, variant, l0, fvu }) =>
    l0 === null || fvu === null || Object.keys(variant).length === 0
      ? []
      : [{ name, group: inputs.join(', '), l0, fvu }],
  )
  if (points.length < 2) return null
  return (
    <Section title="Frontier" aside="FVU against L0 in the latest report; lower left is better">
      <Frontier points={points} />
    </Section>
  )
}

function settingsOf(training: Training): [string, string][] {
  const { hyperparameters, layers, hook_types, output_hook_type, sweep, dataset_weights } = training
  const { settings, run, ...rest } = hyperparameters
  const rows: [string, string][] = [
    ['layers', layers.join(', ')],
    ['hook types', hook_types.join(', ') + (output_hook_type === null ? '' : ` → ${output_hook_type}`)],
  ]
  for (const [name, values] of Object.entries(sweep)) {
    rows.push([`variants of ${name}`, values.map(settingText).join(', ')])
  }
  for (const [name, value] of Object.entries({ ...rest, ...settings, ...run })) {
    if (value !== null) rows.push([name, formatSetting(value)])
  }
  if (dataset_weights !== null) rows.push(['dataset weights', dataset_weights.join(', ')])
  return rows
}

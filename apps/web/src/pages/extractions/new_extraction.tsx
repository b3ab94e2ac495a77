// The start dialog of extractions: one SAE or a batch, the text, the configuration or a template of it.
import { extractionConfig, extractionRequest, type ResponseOf, type Template } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { client, queries } from '../../api.ts'
import { CheckField, Group, NumberField, SelectField } from '../../forms/fields.tsx'
import { checked, defaultsOf, descriptionOf, type FieldErrors, numberOf } from '../../forms/schema.ts'
import { Button } from '../../parts/button.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { formatNumberOf } from '../../parts/format.ts'
import { useAction } from '../../parts/mutation.ts'
import { Pending, ProblemBox, problemOf, refusalOf } from '../../parts/problem.tsx'
import { DatasetChoice, SaeChoice } from './choices.tsx'
import { Created } from './created.tsx'
import { SaveTemplate } from './save_template.tsx'

const defaults = defaultsOf(extractionConfig)
const numbers = [
  { field: 'max_tokens', label: 'Tokens to read' },
  { field: 'examples_per_feature', label: 'Examples per feature' },
  { field: 'context_size', label: 'Context size' },
  { field: 'context_prefix_tokens', label: 'Tokens before the peak' },
  { field: 'context_suffix_tokens', label: 'Tokens after the peak' },
  { field: 'seed', label: 'Seed' },
] as const

export function NewExtraction() {
  const { sae, template } = useSearch({ from: '/extractions/new' })
  const navigate = useNavigate()
  const close = () => navigate({ to: '/extractions' })
  const [created, setCreated] = useState<ResponseOf<'createExtractions'>>()
  const templates = useQuery(queries.templates())
  return (
    <Dialog
      open
      onClose={close}
      wide
      title="Start an extraction"
      description="Several SAEs make a batch: one after the other, each with its analysis."
    >
      {created !== undefined ? (
        <Created result={created} onClose={close} />
      ) : templates.data === undefined ? (
        <Pending query={templates} what="templates" />
      ) : (
        <Form
          templates={templates.data.data}
          saeIds={sae?.split(',') ?? []}
          templateId={template}
          onCreated={setCreated}
          onClose={close}
        />
      )}
    </Dialog>
  )
}

function Form(props: {
  templates: Template[]
  saeIds: string[]
  templateId: string | undefined
  onCreated: (result: ResponseOf<'createExtractions'>) => void
  onClose: () => void
}) {
  const { templates, onCreated, onClose } = props
  const [saeIds, setSaeIds] = useState(props.saeIds)
  const [datasetIds, setDatasetIds] = useState<string[]>([])
  const [templateId, setTemplateId] = useState(props.templateId ?? '')
  const template = templates.find(({ id }) => id === templateId)
  // What was typed or chosen here goes before the template, the template before the contract's defaults.
  const [typed, setTyped] = useState<Record<string, unknown>>({})
  const [errors, setErrors] = useState<FieldErrors>({})
  const start = useAction({
    act: (body: Parameters<typeof client.createExtractions>[0]['body']) => client.createExtractions({ body }),
    touches: ['extractions', 'jobs', 'tokenizations'],
    onDone: onCreated,
  })

  const given: Record<string, unknown> = { ...defaults, ...template?.config, ...typed }
  const config = Object.fromEntries(
    Object.entries(given)
      .map(([field, value]) => [
        field,
        typeof value === 'string' && field !== 'split' ? numberOf(value) : value,
      ])
      .filter(([, value]) => value !== undefined),
  )
  const valid = checked(extractionConfig, config)

  function submit(event: FormEvent): void {
    event.preventDefault()
    const request = checked(extractionRequest, {
      ...(saeIds.length === 1 ? { sae_id: saeIds[0] } : { sae_ids: saeIds }),
      dataset_ids: datasetIds,
      config,
    })
    start.reset()
    setErrors(request.ok ? {} : request.errors)
    if (request.ok) start.mutate(request.value)
  }

  const refused = problemOf(start.error)
  const errorOf = (field: string) =>
    errors[field] ?? errors[`config.${field}`] ?? refusalOf(refused, [field, `config.${field}`])
  const set = (field: string, value: unknown) => setTyped({ ...typed, [field]: value })

  return (
    <form className="space-y-5" onSubmit={submit} noValidate>
      <div className="grid gap-5 md:grid-cols-2">
        <SaeChoice chosen={saeIds} onChoose={setSaeIds} error={errorOf('sae_ids') ?? errorOf('sae_id')} />
        <DatasetChoice chosen={datasetIds} onChoose={setDatasetIds} error={errorOf('dataset_ids')} />
      </div>
      <Group legend="Configuration">
        <div className="panel grid gap-4 p-3 sm:grid-cols-2 lg:grid-cols-3">
          <SelectField
            label="Template"
            className="sm:col-span-2"
            value={templateId}
            about={template === undefined ? 'A saved configuration to begin from.' : madeFor(template)}
            onChange={event => {
              setTemplateId(event.target.value)
              setTyped({})
            }}
          >
            <option value="">None: the defaults</option>
            {templates.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </SelectField>
          <SelectField
            label="Split"
            about={descriptionOf(extractionConfig, 'split')}
            value={String(given.split)}
            onChange={event => set('split', event.target.value)}
          >
            <option value="train">train</option>
            <option value="held_out">held_out</option>
          </SelectField>
          {numbers.map(({ field, label }) => (
            <NumberField
              key={field}
              label={label}
              about={field === 'context_size' ? 'tokens a context' : descriptionOf(extractionConfig, field)}
              placeholder={field === 'context_size' ? 'as the SAE was trained' : undefined}
              value={String(given[field] ?? '')}
              error={errorOf(field) ?? (valid.ok ? undefined : valid.errors[field])}
              onChange={event => set(field, event.target.value)}
            />
          ))}
          <div className="sm:col-span-2 lg:col-span-3">
            <CheckField
              label="NLP analysis"
              about={descriptionOf(extractionConfig, 'auto_nlp')}
              checked={given.auto_nlp === true}
              onChange={on => set('auto_nlp', on)}
            />
          </div>
        </div>
      </Group>
      <SaveTemplate config={valid.ok ? valid.value : undefined} saeIds={saeIds} />
      <ProblemBox error={start.error} />
      <div className="sticky -bottom-4 -mx-4 -mb-4 flex flex-wrap items-center justify-end gap-2 border-t border-line bg-surface px-4 py-3 sm:-mx-5 sm:px-5">
        {Object.keys(errors).length > 0 && (
          <p role="alert" className="mr-auto text-bad">
            {formatNumberOf(Object.keys(errors).length, 'field')} to correct.
          </p>
        )}
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={start.isPending}>
          {start.isPending
            ? 'Starting …'
            : saeIds.length > 1
              ? `Start a batch of ${saeIds.length}`
              : 'Start extraction'}
        </Button>
      </div>
    </form>
  )
}

/** What a template keeps of the SAEs it was saved with. */
function madeFor({ extra_metadata }: Template): string {
  const parts = Object.entries(extra_metadata).map(
    ([name, value]) =>
      `${name.replaceAll('_', ' ')} ${Array.isArray(value) ? value.join(', ') : String(value)}`,
  )
  return parts.length === 0 ? 'Saved without SAEs.' : `Saved with: ${parts.join(' · ')}`
}

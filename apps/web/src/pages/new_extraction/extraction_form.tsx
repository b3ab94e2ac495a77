// The start form of extractions: one SAE or a batch, the text to read, and the configuration or a template for it.
import { extractionConfig, type ResponseOf, type Template } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { queries } from '../../api.ts'
import { DatasetBoxes } from '../../forms/dataset_boxes.tsx'
import { CheckField, Group, NumberField, SelectField } from '../../forms/fields.tsx'
import { FieldsToCorrect } from '../../forms/form_buttons.tsx'
import { descriptionOf } from '../../forms/schema.ts'
import { Button } from '../../parts/button.tsx'
import { ProblemBox } from '../../parts/problem.tsx'
import { SaeChoice } from './sae_choice.tsx'
import { shownSettings } from './sae_settings.ts'
import { SaveTemplate } from './save_template.tsx'
import { type ExtractionFormState, useExtractionForm } from './use_extraction_form.ts'

export function ExtractionForm(props: {
  templates: Template[]
  saeIds: string[]
  templateId: string | undefined
  onCreated: (result: ResponseOf<'createExtractions'>) => void
  onClose: () => void
}) {
  const { onClose, ...options } = props
  const form = useExtractionForm(options)
  const { saeIds, datasetIds, errorOf } = form
  const datasets = useQuery(queries.datasets())
  return (
    <form className="space-y-5" onSubmit={form.submit} noValidate>
      <div className="grid gap-5 md:grid-cols-2">
        <SaeChoice
          chosen={saeIds}
          onChoose={form.setSaeIds}
          error={errorOf('sae_ids') ?? errorOf('sae_id')}
        />
        <DatasetBoxes
          datasets={datasets}
          chosen={datasetIds}
          onChoose={form.setDatasetIds}
          error={errorOf('dataset_ids')}
          columns={1}
        />
      </div>
      <Configuration form={form} />
      <SaveTemplate config={form.config} saeIds={saeIds} />
      <ProblemBox error={form.error} />
      <div className="sticky -bottom-4 -mx-4 -mb-4 flex flex-wrap items-center justify-end gap-2 border-t border-line bg-surface px-4 py-3 sm:-mx-5 sm:px-5">
        <FieldsToCorrect count={form.errorCount} className="mr-auto" />
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={form.starting}>
          {form.starting
            ? 'Starting…'
            : saeIds.length > 1
              ? `Start a batch of ${saeIds.length}`
              : 'Start extraction'}
        </Button>
      </div>
    </form>
  )
}

const numbers = [
  { field: 'max_tokens', label: 'Tokens to read' },
  { field: 'examples_per_feature', label: 'Examples per feature' },
  { field: 'context_size', label: 'Context size' },
  { field: 'context_prefix_tokens', label: 'Tokens before the peak' },
  { field: 'context_suffix_tokens', label: 'Tokens after the peak' },
  { field: 'seed', label: 'Seed' },
] as const

function Configuration({ form }: { form: ExtractionFormState }) {
  const { values, set } = form
  return (
    <Group legend="Configuration">
      <div className="panel grid gap-4 p-3 sm:grid-cols-2 lg:grid-cols-3">
        <TemplateField form={form} />
        <SelectField
          label="Split"
          about={descriptionOf(extractionConfig, 'split')}
          value={String(values.split)}
          onChange={event => set('split', event.target.value)}
        >
          <option value="train">train</option>
          <option value="held_out">held_out</option>
        </SelectField>
        {numbers.map(({ field, label }) => (
          <NumberField
            key={field}
            label={label}
            about={field === 'context_size' ? 'tokens per context' : descriptionOf(extractionConfig, field)}
            placeholder={field === 'context_size' ? 'as in training' : undefined}
            value={String(values[field] ?? '')}
            error={form.errorOf(field) ?? form.configErrorOf(field)}
            onChange={event => set(field, event.target.value)}
          />
        ))}
        <div className="sm:col-span-2 lg:col-span-3">
          <CheckField
            label="NLP analysis"
            about={descriptionOf(extractionConfig, 'auto_nlp')}
            checked={values.auto_nlp === true}
            onChange={on => set('auto_nlp', on)}
          />
        </div>
      </div>
    </Group>
  )
}

function TemplateField({ form: { templates, template, chooseTemplate } }: { form: ExtractionFormState }) {
  return (
    <SelectField
      label="Template"
      className="sm:col-span-2"
      value={template?.id ?? ''}
      about={template === undefined ? 'A saved configuration to start from.' : savedWith(template)}
      onChange={event => chooseTemplate(event.target.value)}
    >
      <option value="">None (defaults)</option>
      {templates.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </SelectField>
  )
}

/** What a template remembers of the SAEs it was saved with. */
function savedWith({ extra_metadata }: Template): string {
  const parts = shownSettings(extra_metadata).map(({ name, value }) => `${name} ${value}`)
  return parts.length === 0 ? 'Saved without SAEs.' : `Saved with: ${parts.join(' · ')}`
}

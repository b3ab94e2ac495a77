// What has been entered in the start form, and what is made of it. A value typed here wins over the template, and the
// template over the contract's defaults.
import {
  type ExtractionConfig,
  extractionConfig,
  extractionRequest,
  type ResponseOf,
  type Template,
} from '@mistudio/contract'
import { type FormEvent, useState } from 'react'
import { client } from '../../api.ts'
import { checked, defaultsOf, type FieldErrors, numberOf } from '../../forms/schema.ts'
import { useAction } from '../../parts/mutation.ts'
import { problemOf, refusalOf } from '../../parts/problem.tsx'

const defaults = defaultsOf(extractionConfig)

export type ExtractionFormState = ReturnType<typeof useExtractionForm>

/** @param options.saeIds chosen at first @param options.templateId likewise */
export function useExtractionForm(options: {
  templates: Template[]
  saeIds: string[]
  templateId: string | undefined
  onCreated: (result: ResponseOf<'createExtractions'>) => void
}) {
  const { templates, onCreated } = options
  const [saeIds, setSaeIds] = useState(options.saeIds)
  const [datasetIds, setDatasetIds] = useState<string[]>([])
  const [templateId, setTemplateId] = useState(options.templateId)
  const [typed, setTyped] = useState<Record<string, unknown>>({})
  const [errors, setErrors] = useState<FieldErrors>({})
  const start = useAction({
    act: (body: Parameters<typeof client.createExtractions>[0]['body']) => client.createExtractions({ body }),
    touches: ['extractions', 'jobs', 'tokenizations'],
    onDone: onCreated,
  })

  const template = templates.find(({ id }) => id === templateId)
  const values: Record<string, unknown> = { ...defaults, ...template?.config, ...typed }
  const config = configOf(values)
  const valid = checked(extractionConfig, config)
  const refused = problemOf(start.error)

  return {
    saeIds,
    setSaeIds,
    datasetIds,
    setDatasetIds,
    templates,
    template,
    chooseTemplate(id: string) {
      setTemplateId(id)
      setTyped({})
    },
    /** By field: text where it was typed. */
    values,
    set: (field: string, value: unknown) => setTyped({ ...typed, [field]: value }),
    /** undefined while a value is invalid. */
    config: valid.ok ? valid.value : undefined,
    /** Of a field of the configuration, before anything is submitted. */
    configErrorOf: (field: keyof ExtractionConfig) => (valid.ok ? undefined : valid.errors[field]),
    /** What submitting found. */
    errorOf: (field: string) =>
      errors[field] ?? errors[`config.${field}`] ?? refusalOf(refused, [field, `config.${field}`]),
    errorCount: Object.keys(errors).length,
    error: start.error,
    starting: start.isPending,
    submit(event: FormEvent) {
      event.preventDefault()
      const request = checked(extractionRequest, {
        ...(saeIds.length === 1 ? { sae_id: saeIds[0] } : { sae_ids: saeIds }),
        dataset_ids: datasetIds,
        config,
      })
      start.reset()
      setErrors(request.ok ? {} : request.errors)
      if (request.ok) start.mutate(request.value)
    },
  }
}

/** Texts as numbers; fields that were left empty are not part of it. */
function configOf(values: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(values).map(([field, value]) => [
    field,
    typeof value === 'string' && field !== 'split' ? numberOf(value) : value,
  ])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

// The start form of a training. Defaults, bounds and explanations are the contract's.
import {
  type HookType,
  hookTypes,
  hyperparametersGiven as hyperparameters,
  type Model,
  trainingRequest,
} from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { client, queries } from '../../api.ts'
import { CheckField, Group, NumberField, SelectField, TextField, toggledIn } from '../../forms/fields.tsx'
import { checked, defaultsOf, descriptionOf, type FieldErrors, numberOf } from '../../forms/schema.ts'
import { Button, LinkButton, TextLink } from '../../parts/button.tsx'
import { formatBytes, formatCount, formatNumberOf, hookNames } from '../../parts/format.ts'
import { useAction } from '../../parts/mutation.ts'
import { Empty, Page } from '../../parts/page.tsx'
import { Pending, ProblemBox, problemOf, refusalOf } from '../../parts/problem.tsx'
import { planOf, suggested } from './plan.ts'

const defaults = defaultsOf(hyperparameters)
const numbers = [
  { field: 'd_sae', label: 'Latents (d_sae)' },
  { field: 'k', label: 'k' },
  { field: 'train_tokens', label: 'Training tokens' },
  { field: 'batch_size', label: 'Batch size' },
  { field: 'learning_rate', label: 'Learning rate' },
  { field: 'context_size', label: 'Context size' },
  { field: 'seed', label: 'Seed' },
] as const

export function NewTraining() {
  const models = useQuery(queries.models())
  const above = [
    <TextLink key="trainings" to="/trainings">
      Trainings
    </TextLink>,
  ]
  return (
    <Page title="Start a training" above={above}>
      {models.data === undefined ? (
        <Pending query={models} what="models" />
      ) : models.data.data.length === 0 ? (
        <Empty action={<LinkButton to="/models">Add a model</LinkButton>}>
          A training needs a language model, and there is none yet.
        </Empty>
      ) : (
        <Form models={models.data.data} />
      )}
    </Page>
  )
}

function Form({ models }: { models: Model[] }) {
  const navigate = useNavigate()
  const datasets = useQuery(queries.datasets())
  const [name, setName] = useState('')
  const [modelId, setModelId] = useState(models.find(({ status }) => status === 'ready')?.id ?? models[0].id)
  const model = models.find(({ id }) => id === modelId)
  const [datasetIds, setDatasetIds] = useState<string[]>([])
  const [layers, setLayers] = useState<number[]>([])
  const [hooks, setHooks] = useState<HookType[]>(['resid_post'])
  const [typed, setTyped] = useState<Record<string, string>>({})
  const [normalisation, setNormalisation] = useState('expected_average')
  const [errors, setErrors] = useState<FieldErrors>({})
  const start = useAction({
    act: (body: Parameters<typeof client.createTraining>[0]['body']) => client.createTraining({ body }),
    touches: ['trainings', 'jobs', 'tokenizations'],
    onDone: ({ id }) => navigate({ to: '/trainings/$id', params: { id } }),
  })

  const open: Record<string, unknown> = {
    d_sae: model === undefined ? undefined : model.d_model * suggested.expansion,
    k: suggested.k,
    train_tokens: suggested.trainTokens,
  }
  const textOf = (field: string) => typed[field] ?? String(open[field] ?? defaults[field] ?? '')
  const values = Object.fromEntries(numbers.map(({ field }) => [field, numberOf(textOf(field))]))
  const plan = planOf({
    layers: layers.length,
    hookTypes: hooks.length,
    dModel: model?.d_model,
    dSae: values.d_sae,
    trainTokens: values.train_tokens,
    batchSize: values.batch_size,
  })

  function chooseModel(id: string): void {
    const chosen = models.find(known => known.id === id)
    setModelId(id)
    setLayers(layers.filter(layer => layer < (chosen?.layers ?? 0)))
    setHooks(hooks.filter(type => chosen?.hook_types.includes(type)))
  }

  function submit(event: FormEvent): void {
    event.preventDefault()
    const request = checked(trainingRequest, {
      ...(name.trim() !== '' && { name }),
      model_id: modelId,
      dataset_ids: datasetIds,
      layers: [...layers].sort((a, b) => a - b),
      hook_types: hookTypes.filter(type => hooks.includes(type)),
      hyperparameters: {
        ...values,
        learning_rate: values.learning_rate ?? null,
        normalisation,
      },
    })
    start.reset()
    setErrors(request.ok ? {} : request.errors)
    if (request.ok) start.mutate(request.value)
  }

  const refused = problemOf(start.error)
  const errorOf = (field: string) =>
    errors[field] ??
    errors[`hyperparameters.${field}`] ??
    refusalOf(refused, [field, `hyperparameters.${field}`])

  return (
    <form className="grid gap-6 lg:grid-cols-[1fr_17rem]" onSubmit={submit} noValidate>
      <div className="min-w-0 space-y-6">
        <section className="panel grid gap-4 p-4 sm:grid-cols-2" aria-label="Model and text">
          <SelectField
            label="Model"
            value={modelId}
            error={errorOf('model_id')}
            about={model && `${formatCount(model.layers)} layers, width ${formatCount(model.d_model)}`}
            onChange={event => chooseModel(event.target.value)}
          >
            {models.map(({ id, name: modelName, status }) => (
              <option key={id} value={id} disabled={status !== 'ready'}>
                {modelName}
              </option>
            ))}
          </SelectField>
          <TextField
            label="Name"
            about="Left empty, the studio gives one."
            value={name}
            error={errorOf('name')}
            onChange={event => setName(event.target.value)}
          />
          <div className="sm:col-span-2">
            <Group
              legend="Datasets"
              error={errorOf('dataset_ids')}
              about="Several are read as one, one after the other."
              aside={<span className="text-xs text-mute">{datasetIds.length} chosen</span>}
            >
              {datasets.data === undefined ? (
                <Pending query={datasets} what="datasets" />
              ) : datasets.data.data.length === 0 ? (
                <p className="text-mute">
                  None yet. <TextLink to="/datasets">Upload one</TextLink>
                </p>
              ) : (
                <div className="grid max-h-56 gap-x-4 gap-y-2 overflow-y-auto rounded-md border border-line p-2.5 sm:grid-cols-2">
                  {datasets.data.data.map(({ id, name: datasetName, documents, status }) => (
                    <CheckField
                      key={id}
                      label={datasetName}
                      about={formatNumberOf(documents, 'document')}
                      disabled={status !== 'ready'}
                      checked={datasetIds.includes(id)}
                      onChange={on => setDatasetIds(toggledIn(datasetIds, id, on))}
                    />
                  ))}
                </div>
              )}
            </Group>
          </div>
        </section>

        <section className="panel space-y-4 p-4" aria-label="Where the SAEs are">
          <Group
            legend="Layers"
            error={errorOf('layers')}
            aside={
              <span className="flex gap-1">
                <Button small look="ghost" onClick={() => setLayers(allLayers(model))}>
                  All
                </Button>
                <Button small look="ghost" onClick={() => setLayers([])}>
                  None
                </Button>
              </span>
            }
          >
            <div className="grid grid-cols-[repeat(auto-fill,minmax(2.75rem,1fr))] gap-1.5">
              {allLayers(model).map(layer => (
                <label
                  key={layer}
                  className="relative grid h-9 place-items-center rounded-md border border-edge bg-raised has-checked:border-accent has-checked:bg-accent-soft has-checked:font-semibold has-checked:text-accent has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent"
                >
                  <input
                    type="checkbox"
                    className="absolute inset-0 size-full opacity-0"
                    aria-label={`Layer ${layer}`}
                    checked={layers.includes(layer)}
                    onChange={event => setLayers(toggledIn(layers, layer, event.target.checked))}
                  />
                  {layer}
                </label>
              ))}
            </div>
          </Group>
          <Group legend="Hook types" error={errorOf('hook_types')}>
            <div className="grid gap-2 sm:grid-cols-2">
              {(model?.hook_types ?? []).map(type => (
                <CheckField
                  key={type}
                  label={<span className="font-mono">{type}</span>}
                  about={hookNames[type]}
                  checked={hooks.includes(type)}
                  onChange={on => setHooks(toggledIn(hooks, type, on))}
                />
              ))}
            </div>
          </Group>
        </section>

        <section className="panel grid gap-4 p-4 sm:grid-cols-2 xl:grid-cols-3" aria-label="Hyperparameters">
          <SelectField
            label="Architecture"
            defaultValue="topk"
            about="Keeps the k strongest latents of each token."
          >
            <option value="topk">TopK</option>
          </SelectField>
          {numbers.map(({ field, label }) => (
            <NumberField
              key={field}
              label={label}
              about={descriptionOf(hyperparameters, field)}
              placeholder={field === 'learning_rate' ? 'chosen by width and length' : undefined}
              value={textOf(field)}
              error={errorOf(field)}
              onChange={event => setTyped({ ...typed, [field]: event.target.value })}
            />
          ))}
          <SelectField
            label="Normalisation"
            value={normalisation}
            about="expected_average: activations are scaled so that their mean squared norm is their width."
            error={errorOf('normalisation')}
            onChange={event => setNormalisation(event.target.value)}
          >
            {['none', 'expected_average'].map(option => (
              <option key={option}>{option}</option>
            ))}
          </SelectField>
        </section>
      </div>

      <aside aria-label="Plan" className="h-fit space-y-3 lg:sticky lg:top-4">
        <div className="panel space-y-3 p-4">
          <p>
            <span className="block text-3xl font-semibold" data-testid="sae-count">
              {formatNumberOf(plan.saes, 'SAE')}
            </span>
            <span className="text-soft" data-testid="sae-count-sum">
              {formatNumberOf(layers.length, 'layer')} × {formatNumberOf(hooks.length, 'hook type')}
            </span>
          </p>
          <dl className="grid grid-cols-[1fr_auto] gap-x-3 gap-y-1">
            <dt className="text-soft">Steps</dt>
            <dd className="text-right">{plan.steps === null ? '–' : formatCount(plan.steps)}</dd>
            <dt className="text-soft">Weights and moments</dt>
            <dd className="text-right">{plan.bytes === null ? '–' : formatBytes(plan.bytes)}</dd>
          </dl>
          <Button type="submit" look="primary" className="w-full" disabled={start.isPending}>
            {start.isPending ? 'Starting …' : 'Start'}
          </Button>
          {Object.keys(errors).length > 0 && (
            <p role="alert" className="text-bad">
              {formatNumberOf(Object.keys(errors).length, 'field')} to correct.
            </p>
          )}
        </div>
        <ProblemBox error={start.error} />
      </aside>
    </form>
  )
}

const allLayers = (model: Model | undefined) => Array.from({ length: model?.layers ?? 0 }, (_, i) => i)

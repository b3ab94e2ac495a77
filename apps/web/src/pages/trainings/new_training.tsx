// The start form of a training: family or recipe, what is read and where, settings, variants. What a family has, its
// defaults, bounds and explanations are the API's data; the plan at the side is the studio's advice.
import {
  type Families,
  type Family,
  hyperparametersGiven,
  type Model,
  type Recipe,
  trainingRequest,
} from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { client, queries } from '../../api.ts'
import { NumberField, SelectField, TextField } from '../../forms/fields.tsx'
import { checked, defaultsOf, descriptionOf, type FieldErrors, numberOf } from '../../forms/schema.ts'
import { Button, LinkButton, TextLink } from '../../parts/button.tsx'
import { formatCount, formatNumberOf } from '../../parts/format.ts'
import { Definition } from '../../parts/hint.tsx'
import { useAction } from '../../parts/mutation.ts'
import { Empty, Page } from '../../parts/page.tsx'
import { Pending, ProblemBox, problemOf, refusalOf } from '../../parts/problem.tsx'
import { AdvicePanel, useAdvice } from './advice_panel.tsx'
import { memberFieldsOf, ownPlaces, predicts, requestOf, type SweepRow, saesOf, sweepOf } from './asked.ts'
import { DatasetChoice, type Texts, weightsOf } from './dataset_choice.tsx'
import { HookChoice, type Places } from './hook_choice.tsx'
import { SettingGroups } from './setting_groups.tsx'
import { Sweep } from './sweep.tsx'

/** Where nothing says how wide or long, a place to begin from. */
const suggested = { expansion: 8, trainTokens: 1_000_000 }
const defaults = defaultsOf(hyperparametersGiven)

export function NewTraining() {
  const models = useQuery(queries.models())
  const families = useQuery(queries.families())
  const recipes = useQuery(queries.recipes())
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
      ) : families.data === undefined ? (
        <Pending query={families} what="families" />
      ) : recipes.data === undefined ? (
        <Pending query={recipes} what="recipes" />
      ) : (
        <Form models={models.data.data} families={families.data} recipes={recipes.data.data} />
      )}
    </Page>
  )
}

function Form({ models, families, recipes }: { models: Model[]; families: Families; recipes: Recipe[] }) {
  const navigate = useNavigate()
  const datasets = useQuery(queries.datasets())
  const [name, setName] = useState('')
  const [modelId, setModelId] = useState(models.find(({ status }) => status === 'ready')?.id ?? models[0].id)
  const model = models.find(({ id }) => id === modelId)
  const [texts, setTexts] = useState<Texts>({ ids: [], weights: null })
  const [places, setPlaces] = useState<Places>({ layers: [], hooks: ['resid_post'], output: null })
  const [family, setFamily] = useState<Family>(
    families.data.find(({ name: known }) => known === 'topk') ?? families.data[0],
  )
  const [recipe, setRecipe] = useState<Recipe | null>(null)
  const [typed, setTyped] = useState<Record<string, string>>({})
  const [top, setTop] = useState<Record<string, string>>({})
  const [rows, setRows] = useState<SweepRow[]>([])
  const [errors, setErrors] = useState<FieldErrors>({})
  const start = useAction({
    act: (body: Parameters<typeof client.createTraining>[0]['body']) => client.createTraining({ body }),
    touches: ['trainings', 'jobs', 'tokenizations'],
    onDone: ({ id }) => navigate({ to: '/trainings/$id', params: { id } }),
  })

  const asked = { family, recipe, typed, sweep: rows }
  const runField = (field: string) => families.run_fields.find(known => known.name === field)
  const open: Record<string, unknown> = {
    d_sae: model === undefined ? undefined : model.d_model * suggested.expansion,
    train_tokens: suggested.trainTokens,
    batch_size: recipe?.run.batch_size ?? runField('batch_size')?.default,
  }
  const topText = (field: string) => top[field] ?? String(open[field] ?? defaults[field] ?? '')
  const topValue = (field: string) => numberOf(topText(field))
  const body = {
    model_id: modelId,
    dataset_ids: texts.ids,
    ...requestOf({
      asked,
      families,
      layers: places.layers,
      hookTypes: (model?.hook_types ?? []).filter(type => places.hooks.includes(type)),
      outputHookType: places.output,
      dSae: topValue('d_sae'),
      contextSize: topValue('context_size'),
      top: {
        train_tokens: topValue('train_tokens'),
        batch_size: topValue('batch_size'),
        seed: topValue('seed'),
      },
    }),
    dataset_weights: weightsOf(texts),
  }
  const plan = saesOf({
    family,
    layers: places.layers.length,
    hookTypes: places.hooks.length,
    sweep: sweepOf(asked, memberFieldsOf(families, family)),
  })
  const thinkable = checked(trainingRequest, {
    ...body,
    dataset_ids: texts.ids.length > 0 ? texts.ids : [anyDataset],
  })
  const ready = thinkable.ok && plan.saes > 0 && (!predicts(family) || places.output !== null)
  const datasetIds = texts.ids.length > 0 ? texts.ids : undefined
  const {
    advice,
    measuring,
    error: unwise,
  } = useAdvice(ready ? { ...thinkable.value, name: undefined, dataset_ids: datasetIds } : null)

  function chooseRecipe(next: Recipe | null): void {
    setRecipe(next)
    setTyped({})
    setTop(({ batch_size: _, ...rest }) => rest)
    const of = families.data.find(({ name: known }) => known === next?.family)
    if (of !== undefined) setFamily(of)
  }

  function chooseFamily(next: Family): void {
    setFamily(next)
    setRecipe(null)
    const known = new Set(memberFieldsOf(families, next).map(field => field.name))
    const run = new Set(families.run_fields.map(field => field.name))
    setTyped(Object.fromEntries(Object.entries(typed).filter(([key]) => known.has(key) || run.has(key))))
    setRows(rows.filter(row => row.name === 'd_sae' || known.has(row.name)))
  }

  function chooseModel(id: string): void {
    const chosen = models.find(known => known.id === id)
    setModelId(id)
    setPlaces({
      layers: places.layers.filter(layer => layer < (chosen?.layers ?? 0)),
      hooks: places.hooks.filter(type => chosen?.hook_types.includes(type)),
      output: places.output,
    })
  }

  function type(field: string, text: string | undefined): void {
    const { [field]: _, ...rest } = typed
    setTyped(text === undefined ? rest : { ...rest, [field]: text })
  }

  function submit(event: FormEvent): void {
    event.preventDefault()
    const request = checked(trainingRequest, { ...(name.trim() !== '' && { name }), ...body })
    start.reset()
    setErrors(request.ok ? {} : request.errors)
    if (request.ok) start.mutate(request.value)
  }

  const refused = problemOf(start.error)
  const doubted = problemOf(unwise)
  const errorOf = (field: string) => {
    const names = [
      field,
      `hyperparameters.${field}`,
      `hyperparameters.settings.${field}`,
      `hyperparameters.run.${field}`,
    ]
    const own = names.map(known => errors[known]).find(error => error !== undefined)
    return own ?? refusedAt(refused, names) ?? refusedAt(doubted, names)
  }

  const topInput = (label: string, field: string) => {
    const described = runField(field)
    return (
      <NumberField
        label={label}
        aside={described && <Definition of={label} text={described.help} />}
        about={described === undefined ? descriptionOf(hyperparametersGiven, field) : undefined}
        value={topText(field)}
        error={errorOf(field)}
        onChange={event => setTop({ ...top, [field]: event.target.value })}
      />
    )
  }

  return (
    <form className="grid gap-6 lg:grid-cols-[1fr_18rem]" onSubmit={submit} noValidate>
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
            <DatasetChoice datasets={datasets} texts={texts} errorOf={errorOf} onChange={setTexts} />
          </div>
        </section>

        <section className="panel grid gap-4 p-4 sm:grid-cols-2" aria-label="Family and recipe">
          <SelectField
            label="Family"
            value={family.name}
            error={errorOf('family')}
            about={`${family.summary} ${family.paper.title}, ${family.paper.where}.`}
            onChange={event => chooseFamily(families.data.find(one => one.name === event.target.value)!)}
          >
            {families.data.map(({ name: known, title }) => (
              <option key={known} value={known}>
                {title}
              </option>
            ))}
          </SelectField>
          <SelectField
            label="Recipe"
            value={recipe?.name ?? ''}
            error={errorOf('recipe')}
            about={recipe === null ? 'Fills the settings with those of a paper or a tool.' : recipe.source}
            onChange={event => chooseRecipe(recipes.find(one => one.name === event.target.value) ?? null)}
          >
            <option value="">none: the family’s defaults</option>
            {families.data.map(({ name: known, title }) => {
              const own = recipes.filter(one => one.family === known)
              return own.length === 0 ? null : (
                <optgroup key={known} label={title}>
                  {own.map(one => (
                    <option key={one.name}>{one.name}</option>
                  ))}
                </optgroup>
              )
            })}
          </SelectField>
        </section>

        <HookChoice family={family} model={model} places={places} errorOf={errorOf} onChange={setPlaces} />

        <section className="panel space-y-4 p-4" aria-label="Hyperparameters">
          <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
            {topInput('Latents (d_sae)', 'd_sae')}
            {topInput(runField('train_tokens')?.label ?? '', 'train_tokens')}
            {topInput(runField('batch_size')?.label ?? '', 'batch_size')}
            {topInput('Context size', 'context_size')}
            {topInput(runField('seed')?.label ?? '', 'seed')}
          </div>
          <hr className="border-line" />
          <SettingGroups asked={asked} families={families} errorOf={errorOf} onType={type} />
          <hr className="border-line" />
          <Sweep
            fields={memberFieldsOf(families, family)}
            rows={rows}
            errorOf={field => errors[`sweep.${field}`]}
            onChange={setRows}
          />
        </section>
      </div>

      <aside aria-label="Plan" className="h-fit space-y-3 lg:sticky lg:top-4">
        <div className="panel space-y-3 p-4">
          <p>
            <span className="block text-3xl font-semibold" data-testid="sae-count">
              {formatNumberOf(plan.saes, 'SAE')}
            </span>
            <span className="text-soft" data-testid="sae-count-sum">
              {formatNumberOf(places.layers.length, 'layer')} ×{' '}
              {formatNumberOf(places.hooks.length, 'hook type')}
              {plan.variants > 1 && ` × ${formatNumberOf(plan.variants, 'variant')}`}
            </span>
          </p>
          <AdvicePanel
            advice={ready ? advice : undefined}
            measuring={measuring}
            onTake={({ field, value }) =>
              isTop(field) ? setTop({ ...top, [field]: String(value) }) : type(field, String(value))
            }
          />
          {ready && doubted !== undefined && doubted.type !== 'unreachable' && (
            <p role="status" className="text-xs break-words text-bad">
              {doubted.title}
            </p>
          )}
          <Button
            type="submit"
            look="primary"
            className="w-full"
            disabled={start.isPending || (ready && advice?.fits === false)}
          >
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

/** So that everything else of a request can be checked before datasets are chosen. */
const anyDataset = `ds_${'0'.repeat(20)}`
const isTop = (field: string) =>
  field === 'd_sae' || field === 'context_size' || ownPlaces.some(place => place === field)

function refusedAt(problem: ReturnType<typeof problemOf>, names: string[]): string | undefined {
  // Two fields that contradict each other are both marked.
  for (const part of problem?.field?.split(' and ') ?? []) {
    const found = refusalOf(problem === undefined ? undefined : { ...problem, field: part }, names)
    if (found !== undefined) return found
  }
  return undefined
}

// What a draft asks the studio for: the body of the request, the values of the sweep, and how many SAEs that makes.
import {
  type Families,
  type Family,
  type HookType,
  hyperparametersGiven,
  type Model,
  type SettingField,
  type SettingValue,
  trainingRequest,
} from '@mistudio/contract'
import { checked, defaultsOf, numberOf } from '../../forms/schema.ts'
import type { Draft, SweepRow } from './draft.ts'
import {
  changedSettings,
  isList,
  memberFieldsOf,
  otherRunFields,
  type SettingsDraft,
  settingValueOf,
  type topRunFields,
} from './settings.ts'

/** Where nothing says how wide or how long, something to start from. */
const suggested = { expansion: 8, trainTokens: 1_000_000 }
const defaults = defaultsOf(hyperparametersGiven)

/** Families that read one hook point and predict another. */
export const predicts = ({ hooks }: Family) => hooks === 'in_out' || hooks === 'layers'
/** Families that make one SAE of all layers together. */
export const joinsLayers = ({ hooks }: Family) => hooks === 'several' || hooks === 'layers'

/** Values by setting; rows without values are left out. */
export function sweepOf(
  sweep: readonly SweepRow[],
  fields: readonly SettingField[],
): Record<string, SettingValue[]> {
  const rows = sweep.flatMap(({ name, values }) => {
    const field = fields.find(known => known.name === name)
    const texts = values
      .split(field !== undefined && isList(field) ? ';' : ',')
      .map(text => text.trim())
      .filter(text => text !== '')
    const of = (text: string): SettingValue =>
      field === undefined ? (numberOf(text) ?? text) : settingValueOf(field, text)
    return texts.length === 0 ? [] : [[name, texts.map(of)] as const]
  })
  return Object.fromEntries(rows)
}

/** How many SAEs a draft makes: layers × hook types × variants, or one of all layers together. */
export function saesOf(options: {
  family: Family
  layers: number
  hookTypes: number
  sweep: Record<string, SettingValue[]>
}): { places: number; variants: number; saes: number } {
  const { family, layers, hookTypes, sweep } = options
  const places = (joinsLayers(family) ? Math.min(1, layers) : layers) * hookTypes
  const variants = Object.values(sweep).reduce((product, values) => product * values.length, 1)
  return { places, variants, saes: places * variants }
}

/** The part of a request that says what is trained. */
export function requestOf(options: {
  draft: SettingsDraft & Pick<Draft, 'sweep'>
  families: Families
  layers: readonly number[]
  hookTypes: readonly HookType[]
  outputHookType: HookType | null
  dSae: unknown
  contextSize: unknown
  top: Record<(typeof topRunFields)[number], unknown>
}) {
  const { draft, families, layers, hookTypes, outputHookType, dSae, contextSize, top } = options
  const fields = memberFieldsOf(families, draft.family)
  return {
    layers: [...layers].sort((a, b) => a - b),
    hook_types: [...hookTypes],
    output_hook_type: predicts(draft.family) ? outputHookType : null,
    hyperparameters: {
      family: draft.family.name,
      recipe: draft.recipe?.name ?? null,
      d_sae: dSae,
      context_size: contextSize,
      ...top,
      settings: changedSettings(draft, fields),
      run: changedSettings(draft, otherRunFields(families)),
    },
    sweep: sweepOf(draft.sweep, fields),
  }
}

type Tables = { models: readonly Model[]; families: Families }

const modelOf = ({ modelId }: Draft, { models }: Tables) => models.find(({ id }) => id === modelId)

/** The text of an input at the top of the form: what was typed, else what the form suggests. */
export function topTextOf(draft: Draft, tables: Tables, field: string): string {
  const model = modelOf(draft, tables)
  const batchSize = tables.families.run_fields.find(({ name }) => name === 'batch_size')?.default
  const open: Record<string, unknown> = {
    d_sae: model === undefined ? undefined : model.d_model * suggested.expansion,
    train_tokens: suggested.trainTokens,
    batch_size: draft.recipe?.run.batch_size ?? batchSize,
  }
  return draft.top[field] ?? String(open[field] ?? defaults[field] ?? '')
}

/** The body of the request, not checked yet and without the name. */
export function bodyOf(draft: Draft, tables: Tables) {
  const { modelId, datasets, places } = draft
  const top = (field: string) => numberOf(topTextOf(draft, tables, field))
  return {
    model_id: modelId,
    dataset_ids: datasets.ids,
    ...requestOf({
      draft,
      families: tables.families,
      layers: places.layers,
      hookTypes: modelOf(draft, tables)?.hook_types.filter(type => places.hooks.includes(type)) ?? [],
      outputHookType: places.output,
      dSae: top('d_sae'),
      contextSize: top('context_size'),
      top: { train_tokens: top('train_tokens'), batch_size: top('batch_size'), seed: top('seed') },
    }),
    dataset_weights: weightsOf(datasets),
  }
}

/** How many SAEs the draft makes, and of what. */
export function planOf({ family, places }: Draft, sweep: Record<string, SettingValue[]>) {
  const counts = { layers: places.layers.length, hookTypes: places.hooks.length }
  return { ...counts, ...saesOf({ family, ...counts, sweep }) }
}

/** Stands for the datasets until some are chosen, so that the rest of a request can be checked. */
const anyDataset = `ds_${'0'.repeat(20)}`

/** The draft as the studio can advise on it; null while too little is chosen. */
export function adviceRequestOf({ family, places }: Draft, body: ReturnType<typeof bodyOf>) {
  const dataset_ids = body.dataset_ids.length === 0 ? undefined : body.dataset_ids
  const request = checked(trainingRequest, { ...body, dataset_ids: dataset_ids ?? [anyDataset] })
  if (!request.ok || (predicts(family) && places.output === null)) return null
  return { ...request.value, name: undefined, dataset_ids }
}

/** One for each dataset, in their order; null where they are not mixed by weight. */
const weightsOf = ({ ids, weights }: Draft['datasets']) =>
  weights === null ? null : ids.map(id => numberOf(weights[id] ?? '1') ?? 1)

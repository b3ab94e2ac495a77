// What has been entered in the start form of a training, and how each change moves it. Choosing a model, a family or a
// recipe also drops whatever the new choice does not know.
import type { Families, Family, HookType, Model, Recipe } from '@mistudio/contract'
import { memberFieldsOf, type SettingsDraft, topRunFields } from './settings.ts'

/** A row of the sweep, as typed. */
export type SweepRow = { name: string; values: string }

export type Places = { layers: number[]; hooks: HookType[]; output: HookType | null }

export type DatasetsDraft = {
  ids: string[]
  /** Texts by dataset; null: one dataset after another. */
  weights: Record<string, string> | null
}

export type Draft = SettingsDraft & {
  name: string
  modelId: string
  datasets: DatasetsDraft
  places: Places
  /** Texts of the inputs at the top, where something has been typed. */
  top: Readonly<Record<string, string>>
  sweep: readonly SweepRow[]
}

export type DraftChange =
  | { kind: 'name'; name: string }
  | { kind: 'model'; model: Model }
  | { kind: 'datasets'; datasets: DatasetsDraft }
  | { kind: 'places'; places: Places }
  | { kind: 'family'; family: Family }
  | { kind: 'recipe'; recipe: Recipe | null }
  /** A setting wherever it stands in the form; text undefined: back to the recipe or default. */
  | { kind: 'setting'; name: string; text: string | undefined }
  | { kind: 'sweep'; sweep: readonly SweepRow[] }

/** Settings that stand at the top of the form and are kept apart from the others. */
const isTop = (name: string) =>
  name === 'd_sae' || name === 'context_size' || topRunFields.some(field => field === name)

export function firstDraft({ models, families }: { models: readonly Model[]; families: Families }): Draft {
  return {
    name: '',
    modelId: (models.find(({ status }) => status === 'ready') ?? models[0]).id,
    datasets: { ids: [], weights: null },
    places: { layers: [], hooks: ['resid_post'], output: null },
    family: families.data.find(({ name }) => name === 'topk') ?? families.data[0],
    recipe: null,
    typed: {},
    top: {},
    sweep: [],
  }
}

export function changedDraft(options: { draft: Draft; change: DraftChange; families: Families }): Draft {
  const { draft, change, families } = options
  switch (change.kind) {
    case 'name':
      return { ...draft, name: change.name }
    case 'model':
      return withModel(draft, change.model)
    case 'datasets':
      return { ...draft, datasets: change.datasets }
    case 'places':
      return { ...draft, places: change.places }
    case 'family':
      return withFamily(draft, change.family, families)
    case 'recipe':
      return withRecipe(draft, change.recipe, families)
    case 'setting': {
      const texts = isTop(change.name) ? 'top' : 'typed'
      return { ...draft, [texts]: withText(draft[texts], change.name, change.text) }
    }
    case 'sweep':
      return { ...draft, sweep: change.sweep }
  }
}

function withText(texts: Readonly<Record<string, string>>, name: string, text: string | undefined) {
  const { [name]: _, ...rest } = texts
  return text === undefined ? rest : { ...rest, [name]: text }
}

function withModel(draft: Draft, model: Model): Draft {
  const { layers, hooks, output } = draft.places
  return {
    ...draft,
    modelId: model.id,
    places: {
      layers: layers.filter(layer => layer < model.layers),
      hooks: hooks.filter(type => model.hook_types.includes(type)),
      output,
    },
  }
}

/** Settings that the new family lacks are dropped, and so is the recipe, which belongs to another. */
function withFamily(draft: Draft, family: Family, families: Families): Draft {
  const own = new Set(memberFieldsOf(families, family).map(({ name }) => name))
  const run = new Set(families.run_fields.map(({ name }) => name))
  const typed = Object.entries(draft.typed).filter(([name]) => own.has(name) || run.has(name))
  return {
    ...draft,
    family,
    recipe: null,
    typed: Object.fromEntries(typed),
    sweep: draft.sweep.filter(({ name }) => name === 'd_sae' || own.has(name)),
  }
}

/** A recipe brings its family, settings and batch size; what was typed would hide them. */
function withRecipe(draft: Draft, recipe: Recipe | null, families: Families): Draft {
  return {
    ...draft,
    recipe,
    family: families.data.find(({ name }) => name === recipe?.family) ?? draft.family,
    typed: {},
    top: withText(draft.top, 'batch_size', undefined),
  }
}

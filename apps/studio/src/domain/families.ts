// Families, recipes and metrics as the API gives them: the tables of @mistudio/sae under their wire names.
import type {
  Family as FamilyView,
  Metric as MetricView,
  Recipe as RecipeView,
  SettingField,
  Settings as SettingsView,
} from '@mistudio/contract'
import { type Metric, metricCounts, metricGroup, metricTable } from '@mistudio/evaluation'
import {
  type Family,
  type Field,
  type FieldTable,
  type FieldValue,
  families,
  fieldGroups,
  memberFields,
  type Recipe,
  recipes,
  runFields,
  type Settings,
  splitRecipe,
  wireName,
} from '@mistudio/training'

export const familyViews = () => ({
  data: families.map(familyView),
  groups: [...fieldGroups],
  member_fields: fieldViews(memberFields, 'common'),
  run_fields: fieldViews(runFields, 'run'),
})

export const recipeViews = () => recipes.map(recipeView)

export const metricViews = () => Object.entries(metricTable).map(([name, metric]) => metricView(name, metric))

function recipeView(recipe: Recipe): RecipeView {
  const { name, family, source } = recipe
  const { member, run } = splitRecipe(recipe)
  return { name, family, source, sets: plainSettings(member), run: plainSettings(run) }
}

/** Lists copied: the tables are read-only. */
export const plainSettings = (settings: Settings): SettingsView =>
  Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, plainValue(value)]))

const plainValue = (value: FieldValue): SettingsView[string] =>
  typeof value === 'object' && value !== null ? [...value] : value

function metricView(name: string, metric: Metric): MetricView {
  const counted = metric.counted === null ? null : metricCounts[metric.counted]
  return { ...metric, name, counted, group: metricGroup(name), where: [...metric.where] }
}

function familyView(family: Family): FamilyView {
  const { name, title, summary, paper, hooks, fields, defaults } = family
  return {
    name,
    title,
    summary,
    paper,
    hooks,
    fields: fieldViews(fields, 'family'),
    defaults: plainSettings(
      Object.fromEntries(Object.entries(defaults).map(([key, value]) => [wireName(key), value])),
    ),
  }
}

/** @param group of fields that name none */
const fieldViews = (table: FieldTable, group: string): SettingField[] =>
  Object.entries(table).map(([key, field]) => fieldView(wireName(key), field, group))

function fieldView(name: string, field: Field, group: string): SettingField {
  const { label, help, unit = null, source = null, chosen = null } = field
  const described = { name, label, help, unit, source, chosen, group: field.group ?? group }
  switch (field.kind) {
    case 'integer':
    case 'number': {
      const { kind, min = null, max = null, above = null } = field
      return { ...described, kind, default: field.default, min, max, above }
    }
    case 'choice':
      return { ...described, kind: 'choice', default: field.default, choices: [...field.choices] }
    case 'flag':
      return { ...described, kind: 'flag', default: field.default }
    case 'integers':
    case 'numbers': {
      const { kind, min = null, max = null } = field
      return {
        ...described,
        kind,
        default: field.default === null ? null : [...field.default],
        min,
        max,
      }
    }
  }
}

// What the start form asks for: settings as text over a recipe and a family's defaults, and the request that comes of
// it. Everything about a family is the API's data; nothing here knows one by name.
import type {
  Families,
  Family,
  HookType,
  Recipe,
  SettingField,
  Settings,
  SettingValue,
} from '@mistudio/contract'
import { numberOf } from '../../forms/schema.ts'

/** Run settings that a training's request has a place of its own for. */
export const ownPlaces = ['train_tokens', 'batch_size', 'seed'] as const

/** A row of the sweep as it is typed. */
export type SweepRow = { name: string; values: string }

export type Asked = {
  family: Family
  recipe: Recipe | null
  /** Texts by setting, where a person has typed. */
  typed: Readonly<Record<string, string>>
  sweep: readonly SweepRow[]
}

/** Settings of the family and of every SAE, in the order of the form. */
export const memberFieldsOf = (families: Families, family: Family): SettingField[] => [
  ...family.fields,
  ...families.member_fields,
]

/** Settings of the run beside those that stand at the top of the form. */
export const otherRunFields = (families: Families): SettingField[] =>
  families.run_fields.filter(({ name }) => !ownPlaces.some(place => place === name))

/** What a setting is before anybody types: the recipe's, the family's, the table's default. */
export function baseOf(
  { family, recipe }: Pick<Asked, 'family' | 'recipe'>,
  field: SettingField,
): SettingValue {
  for (const values of [recipe?.sets, recipe?.run, family.defaults]) {
    if (values !== undefined && Object.hasOwn(values, field.name)) return values[field.name]
  }
  return field.default
}

export const textOf = (value: SettingValue): string =>
  value === null ? '' : Array.isArray(value) ? value.join(', ') : String(value)

/** Text as a value of the field; what is none stays text, for the studio to name. */
export function settingValueOf(field: SettingField, text: string): SettingValue {
  switch (field.kind) {
    case 'flag':
      return text === 'true'
    case 'choice':
      return text
    case 'integer':
    case 'number':
      return numberOf(text) ?? null
    case 'integers':
    case 'numbers': {
      if (text.trim() === '') return null
      const values = text.split(',').map(part => numberOf(part))
      return values.every(value => typeof value === 'number') ? values : text
    }
  }
}

const same = (a: SettingValue, b: SettingValue) => JSON.stringify(a) === JSON.stringify(b)

/** Does what is typed differ from the recipe or default? */
export function isChanged(asked: Asked, field: SettingField): boolean {
  const text = asked.typed[field.name]
  return text !== undefined && !same(settingValueOf(field, text), baseOf(asked, field))
}

/** Only what a person has changed: the rest is the recipe's or default. */
export const changedSettings = (asked: Asked, fields: readonly SettingField[]): Settings =>
  Object.fromEntries(
    fields
      .filter(field => isChanged(asked, field))
      .map(field => [field.name, settingValueOf(field, asked.typed[field.name])]),
  )

/** Values by setting; rows without values are left out. */
export function sweepOf(asked: Asked, fields: readonly SettingField[]): Record<string, SettingValue[]> {
  const rows = asked.sweep.flatMap(({ name, values }) => {
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

export const isList = ({ kind }: SettingField) => kind === 'integers' || kind === 'numbers'

export const predicts = ({ hooks }: Family) => hooks === 'in_out' || hooks === 'layers'
export const joinsLayers = ({ hooks }: Family) => hooks === 'several' || hooks === 'layers'

/** How many SAEs that makes: joint families make one of all layers. */
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
  asked: Asked
  families: Families
  layers: readonly number[]
  hookTypes: readonly HookType[]
  outputHookType: HookType | null
  dSae: unknown
  contextSize: unknown
  top: Record<(typeof ownPlaces)[number], unknown>
}) {
  const { asked, families, layers, hookTypes, outputHookType, dSae, contextSize, top } = options
  const fields = memberFieldsOf(families, asked.family)
  return {
    layers: [...layers].sort((a, b) => a - b),
    hook_types: [...hookTypes],
    output_hook_type: predicts(asked.family) ? outputHookType : null,
    hyperparameters: {
      family: asked.family.name,
      recipe: asked.recipe?.name ?? null,
      d_sae: dSae,
      context_size: contextSize,
      ...top,
      settings: changedSettings(asked, fields),
      run: changedSettings(asked, otherRunFields(families)),
    },
    sweep: sweepOf(asked, fields),
  }
}

/** In words, for a tooltip: bounds, default and where it comes from. */
export function boundsOf(field: SettingField): string {
  switch (field.kind) {
    case 'choice':
      return field.choices.join(', ')
    case 'flag':
      return 'yes or no'
    default: {
      const least = 'above' in field && field.above !== null ? `above ${field.above}` : ''
      const from = field.min === null ? least : `at least ${field.min}`
      const to = field.max === null ? '' : `at most ${field.max}`
      const what = field.kind.startsWith('integer') ? 'whole number' : 'number'
      const list = isList(field) ? `${what}s, separated by commas` : what
      return [list, from, to].filter(part => part !== '').join(', ')
    }
  }
}

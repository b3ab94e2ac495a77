// Settings as the start form holds them: what has been typed, over the recipe's values, over the family's defaults.
// Everything about a family is the API's data; nothing here knows one by name.
import type { Families, Family, Recipe, SettingField, Settings, SettingValue } from '@mistudio/contract'
import { numberOf } from '../../forms/schema.ts'

export type SettingsDraft = {
  family: Family
  recipe: Recipe | null
  /** Texts by setting, where something has been typed. */
  typed: Readonly<Record<string, string>>
}

/** Run settings that have a place of their own in a training's request, and at the top of the form. */
export const topRunFields = ['train_tokens', 'batch_size', 'seed'] as const

/** Settings of the family and of every SAE, in the order of the form. */
export const memberFieldsOf = (families: Families, family: Family): SettingField[] => [
  ...family.fields,
  ...families.member_fields,
]

/** Settings of the run, without those at the top of the form. */
export const otherRunFields = (families: Families): SettingField[] =>
  families.run_fields.filter(({ name }) => !topRunFields.some(top => top === name))

export const isList = ({ kind }: SettingField) => kind === 'integers' || kind === 'numbers'

/** The value of a setting before anything is typed: the recipe's, else the family's, else the default. */
export function baseOf(
  { family, recipe }: Pick<SettingsDraft, 'family' | 'recipe'>,
  field: SettingField,
): SettingValue {
  for (const values of [recipe?.sets, recipe?.run, family.defaults]) {
    if (values !== undefined && Object.hasOwn(values, field.name)) return values[field.name]
  }
  return field.default
}

/** Text as a value of the field; text that is no such value stays as it is, for the studio to reject. */
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

/** Whether what has been typed differs from the recipe or default. */
export function isChanged(draft: SettingsDraft, field: SettingField): boolean {
  const text = draft.typed[field.name]
  return text !== undefined && !same(settingValueOf(field, text), baseOf(draft, field))
}

/** Only what has been changed: the rest follows from recipe and family. */
export const changedSettings = (draft: SettingsDraft, fields: readonly SettingField[]): Settings =>
  Object.fromEntries(
    fields
      .filter(field => isChanged(draft, field))
      .map(field => [field.name, settingValueOf(field, draft.typed[field.name])]),
  )

/** What a setting accepts, in words: `whole number, at least 1`. */
export function boundsOf(field: SettingField): string {
  switch (field.kind) {
    case 'choice':
      return field.choices.join(', ')
    case 'flag':
      return 'yes or no'
    default: {
      const above = 'above' in field && field.above !== null ? `above ${field.above}` : ''
      const from = field.min === null ? above : `at least ${field.min}`
      const to = field.max === null ? '' : `at most ${field.max}`
      const one = field.kind.startsWith('integer') ? 'whole number' : 'number'
      const what = isList(field) ? `${one}s, separated by commas` : one
      return [what, from, to].filter(part => part !== '').join(', ')
    }
  }
}

// From the words of `sae train` to the members and settings of a run: a recipe first, then options, then --set; swept
// settings become variants. What a setting may be is in the tables of @mistudio/sae.

import { InputError } from '@mistudio/files'
import type { FieldTable, FieldValue, GivenRun, RunMember, Settings } from '@mistudio/training'

type Pairs = readonly (readonly [key: string, value: string])[]

/** As given on the command line; absent where not given. */
export type TrainingWords = {
  family?: string
  recipe?: string
  hooks: readonly string[]
  hooksOut: readonly string[]
  dSae: number
  k?: number
  learningRate?: number
  set: Pairs
  sweep: Pairs
  /** Options of the run under their settings' wire names. */
  run: Settings & { train_tokens: number }
}

/** Other words for a setting. */
const alias: Record<string, string> = { lambda: 'sparsity_coefficient' }

/** @throws InputError naming the setting, or both where two contradict each other */
export async function trainingSettings(
  words: TrainingWords,
): Promise<{ members: RunMember[]; settings: GivenRun }> {
  const training = await import('@mistudio/training')
  const recipe = words.recipe === undefined ? undefined : training.recipeOf(words.recipe)
  if (recipe !== undefined && words.family !== undefined && words.family !== recipe.family) {
    throw new InputError({
      message: 'family and recipe contradict each other',
      field: '--family and --recipe',
      found: `${words.family} and ${recipe.name}, which is of ${recipe.family}`,
      expected: 'one of them, or a recipe of that family',
    })
  }
  const family = words.family ?? recipe?.family ?? 'topk'
  const ofMember = training.byWireName(training.settingsOf(training.familyOf(family)))
  const ofRun = training.byWireName(training.runFields as FieldTable)
  const parts = recipe === undefined ? { member: {}, run: {} } : training.splitRecipe(recipe)
  const set = given(words.set, '--set')
  const own: Record<string, FieldValue> = {
    ...(words.k !== undefined && { k: words.k }),
    ...(words.learningRate !== undefined && { learning_rate: words.learningRate }),
  }
  const run: Record<string, FieldValue> = { ...parts.run, ...words.run }
  const member: Record<string, FieldValue> = { ...parts.member, ...own }
  for (const [key, text] of set) {
    if (key in own || key in words.run) {
      throw new InputError({
        message: 'a setting is given twice',
        field: `--set ${key} and --${key.replaceAll('_', '-')}`,
        found: `${text} and ${own[key] ?? words.run[key]}`,
        expected: 'one of them',
      })
    }
    if (ofRun.has(key)) run[key] = training.parseFieldText(key, ofRun.get(key)!.field, text)
    // A name that no table has goes on, to be refused with the nearest ones.
    else member[key] = ofMember.has(key) ? training.parseFieldText(key, ofMember.get(key)!.field, text) : text
  }
  const sweep = Object.fromEntries(
    Array.from(given(words.sweep, '--sweep'), ([key, text]) => {
      if (ofRun.has(key)) throw notSwept(key, text, 'a setting of an SAE: this one is of the whole run')
      const field = ofMember.get(key)?.field
      if (field?.kind === 'integers' || field?.kind === 'numbers') {
        throw notSwept(key, text, 'a setting that is one value')
      }
      const texts = text.split(',').map(value => value.trim())
      if (key === 'd_sae') return [key, texts.map(Number)]
      return [
        key,
        field === undefined ? texts : texts.map(value => training.parseFieldText(key, field, value)),
      ]
    }),
  )
  const members = training.membersOf({
    family,
    inputs: words.hooks,
    outputs: words.hooksOut,
    dSae: words.dSae,
    settings: member,
    sweep,
  })
  return { members, settings: training.givenRun(run) }
}

/** By setting, aliases resolved. @throws InputError for one that is given twice */
function given(pairs: Pairs, option: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const [word, value] of pairs) {
    const key = alias[word] ?? word.replaceAll('-', '_')
    if (found.has(key)) {
      const message = 'a setting is given twice'
      throw new InputError({ message, field: `${option} ${key}`, found: value, expected: 'once' })
    }
    found.set(key, value)
  }
  return found
}

const notSwept = (key: string, found: string, expected: string) =>
  new InputError({ message: 'this setting cannot be swept', field: `--sweep ${key}`, found, expected })

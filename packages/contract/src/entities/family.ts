// Families of SAEs, their settings, recipes and metrics as data. The tables are in @mistudio/training and @mistudio/evaluation; forms and
// cards are drawn from what these routes return and are independent of family names.
import { z } from 'zod'

const text = z.string().max(2000)

export const settingName = z.string().regex(/^[a-z][a-z0-9_]{0,99}$/, 'a name like learning_rate')
export const settingValue = z
  .union([z.number(), z.boolean(), z.string().max(200), z.array(z.number()).min(1).max(1000), z.null()])
  .meta({ id: 'SettingValue', description: 'null: chosen by the family or the run' })
export type SettingValue = z.infer<typeof settingValue>

/** Settings under their names. */
export const settings = z.record(settingName, settingValue)
export type Settings = z.infer<typeof settings>

const described = {
  name: settingName,
  label: text,
  help: text,
  unit: text.nullable(),
  source: text.nullable().meta({ description: 'where the default comes from' }),
  chosen: text.nullable().meta({ description: 'how a null is chosen' }),
  group: text.meta({ description: '`family`, or its group of shared settings' }),
}
const bound = z.number().nullable()

/** One setting: what a form needs to show and check it. */
export const settingField = z
  .discriminatedUnion('kind', [
    z.strictObject({
      ...described,
      kind: z.enum(['integer', 'number']),
      default: z.number().nullable(),
      min: bound,
      max: bound,
      above: bound,
    }),
    z.strictObject({ ...described, kind: z.literal('choice'), default: text, choices: z.array(text) }),
    z.strictObject({ ...described, kind: z.literal('flag'), default: z.boolean() }),
    z.strictObject({
      ...described,
      kind: z.enum(['integers', 'numbers']),
      default: z.array(z.number()).nullable(),
      min: bound,
      max: bound,
    }),
  ])
  .meta({ id: 'SettingField' })
export type SettingField = z.infer<typeof settingField>

/** one: x = y; in_out: one hook point read, another predicted; several: joint; layers: pairs, layer by layer. */
export const hookUses = ['one', 'in_out', 'several', 'layers'] as const
export type HookUse = (typeof hookUses)[number]

export const family = z
  .strictObject({
    name: z.string(),
    title: z.string(),
    summary: text,
    paper: z.strictObject({ title: text, where: text }),
    hooks: z.enum(hookUses).meta({ description: 'how the hook points of a member are chosen' }),
    fields: z.array(settingField),
    defaults: settings.meta({ description: 'shared settings that this family changes' }),
  })
  .meta({ id: 'Family' })
export type Family = z.infer<typeof family>

export const families = z
  .strictObject({
    data: z.array(family),
    groups: z.array(z.string()).meta({ description: 'groups of the shared settings, in order' }),
    member_fields: z.array(settingField).meta({ description: 'settings that every family has' }),
    run_fields: z.array(settingField).meta({ description: 'settings of the run, which all SAEs share' }),
  })
  .meta({ id: 'Families' })
export type Families = z.infer<typeof families>

export const recipe = z
  .strictObject({
    name: z.string(),
    family: z.string(),
    source: text,
    sets: settings.meta({ description: 'of the family and of every SAE' }),
    run: settings.meta({ description: 'of the run' }),
  })
  .meta({ id: 'Recipe' })
export type Recipe = z.infer<typeof recipe>

export const metric = z
  .strictObject({
    name: z.string(),
    label: text,
    unit: text.meta({ description: 'empty for a pure number' }),
    definition: text,
    better: z.enum(['lower', 'higher', 'one', 'none']),
    source: text.meta({ description: 'whose definition it is; empty for our own' }),
    counted: text.nullable().meta({ description: 'over which tokens' }),
    group: z.enum(['loss', 'quality', 'model', 'run']),
    where: z.array(z.enum(['training', 'evaluation'])),
  })
  .meta({ id: 'Metric' })
export type Metric = z.infer<typeof metric>

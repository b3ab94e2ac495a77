// A member of a run: one SAE to train, as requested, and everything that follows from it: the family's
// configuration, the shared settings, the plan. Names are checked, hook points counted and open
// settings chosen here; nothing is null afterwards.
import { InputError, notFound } from '@mistudio/files'
import type { HookSpan, SaeHooks } from '@mistudio/sae'
import { warmedUp } from './families/parts.ts'
import { contradiction } from './families/shared.ts'
import { families, familyOf } from './families.ts'
import { type Family, type FamilyContext, type MemberConfig, memberFields } from './family.ts'
import {
  byWireName,
  type ConfigOf,
  type FieldTable,
  type FieldValue,
  readFields,
  type Settings,
  wireName,
  writeFields,
} from './fields.ts'
import type { Dynamics, Plan } from './plan.ts'
import { checkStart } from './start/initial_weights.ts'

export type TrainMember = {
  name: string
  /** Wire name. */
  family: string
  /** Hook points read, in the order of their columns. */
  inputs: readonly string[]
  /** Hook points predicted; none for families that reconstruct what they read. */
  outputs: readonly string[]
  dSae: number
  /** Settings of the family and of every member, under their wire names. */
  settings: Settings
}

/** Everything that determines a member, under wire names: for checkpoints, cards and `training.json`. */
export type DescribedMember = Record<string, FieldValue | readonly string[]>

export type CompleteMember = {
  name: string
  family: Family
  config: ConfigOf<FieldTable>
  settings: MemberConfig
  plan: Plan
  hooks: SaeHooks
  /** Pure functions of the step, counted from 0. */
  dynamicsAt(step: number, seed: number): Dynamics
  described: DescribedMember
}

/**
 * Completes and checks a member.
 * `widthOf`: the width of a hook point, throwing if it does not exist. `known`: names of the run's settings, suggested
 * when a name is mistyped; they are still refused here.
 * @throws InputError naming the field or the fields that contradict each other
 */
export function completeMember(options: {
  member: TrainMember
  widthOf: (hook: string) => number
  batchSize: number
  totalSteps: number
  trainTokens: number
  known?: readonly string[]
}): CompleteMember {
  const { member, widthOf, batchSize, totalSteps, trainTokens, known = [] } = options
  const family = familyOf(member.family)
  checkNames({ family, settings: member.settings, known })
  if (!Number.isSafeInteger(member.dSae) || member.dSae < 1 || member.dSae > most) {
    throw new InputError({
      message: 'd_sae is out of range',
      field: 'd_sae',
      found: String(member.dSae),
      expected: `a whole number, 1 … ${most.toLocaleString('en-US')}`,
    })
  }
  const hooks = hooksOf({ family, member, widthOf })
  const context: FamilyContext = {
    shape: { dIn: widthOfAll(hooks.inputs), dSae: member.dSae, dOut: widthOfAll(hooks.outputs) },
    batchSize,
    totalSteps,
    trainTokens,
    inputs: hooks.inputs,
    outputs: hooks.outputs,
  }
  const asked = readFields(memberFields, { ...defaultsOf(family), ...member.settings })
  const { config, member: settings } = family.complete(
    readFields(family.fields, member.settings),
    asked,
    context,
  )
  const { shape } = context
  const plan = family.plan(config, settings, context)
  checkStart(plan, settings)
  return {
    name: member.name,
    family,
    config,
    settings,
    plan,
    hooks,
    dynamicsAt: (step, seed) =>
      family.dynamics?.(config, settings, { step, totalSteps, seed, shape }) ?? {
        sparsity: warmedUp(step, settings.sparsityWarmUpSteps),
        p: 1,
      },
    described: {
      name: member.name,
      family: family.name,
      inputs: member.inputs,
      outputs: member.outputs,
      d_sae: member.dSae,
      ...writeFields(memberFields, settings),
      ...writeFields(family.fields, config),
    },
  }
}
const most = 1_048_576

/** The settings of a family's members: its own and the shared ones, with the family's defaults, by wire name. */
export function settingsOf(family: Family): FieldTable {
  const shared = Object.entries(memberFields).map(([key, field]) => {
    const value = family.defaults[key as keyof MemberConfig]
    return [key, value === undefined ? field : { ...field, default: value }]
  })
  return { ...family.fields, ...Object.fromEntries(shared) }
}

/** A family's defaults of the shared settings under wire names. */
function defaultsOf(family: Family): Settings {
  return Object.fromEntries(Object.entries(family.defaults).map(([key, value]) => [wireName(key), value]))
}

/** @throws InputError for a name that is neither the family's nor shared */
function checkNames(options: { family: Family; settings: Settings; known: readonly string[] }): void {
  const { family, settings, known } = options
  const names = [...byWireName(family.fields).keys(), ...byWireName(memberFields).keys()]
  for (const name of Object.keys(settings)) {
    if (names.includes(name)) continue
    const owners = families.filter(({ fields }) => byWireName(fields).has(name))
    if (owners.length === 0) {
      throw notFound({ what: 'setting', field: name, name, known: [...names, ...known] })
    }
    throw contradiction({
      message: `${family.name} has no ${name}`,
      fields: [name, 'family'],
      found: `${name}=${settings[name]} and ${family.name}`,
      expected: `no ${name}, or the family ${owners.map(owner => owner.name).join(' or ')}`,
    })
  }
}

const widthOfAll = (spans: readonly HookSpan[]): number => spans.reduce((sum, { width }) => sum + width, 0)

/** @throws InputError if the number or the widths of the hook points do not suit the family */
function hooksOf(options: {
  family: Family
  member: TrainMember
  widthOf: (hook: string) => number
}): SaeHooks {
  const { family, member, widthOf } = options
  const { inputs, outputs } = member
  const refuse = (message: string, expected: string, fields: [string, string] = ['hook', 'family']) =>
    contradiction({
      message,
      fields,
      found: `${family.name} with ${listed(inputs)}${outputs.length > 0 ? ` to ${listed(outputs)}` : ''}`,
      expected,
    })
  for (const hooks of [inputs, outputs]) {
    if (new Set(hooks).size < hooks.length) throw refuse('a hook point is named twice', 'each once')
  }
  if (inputs.length === 0) throw refuse('no hook point to read', 'a hook point')
  const same = outputs.length === 0 || String(outputs) === String(inputs)
  switch (family.hooks) {
    case 'one':
      if (inputs.length !== 1) throw refuse('it reads one hook point', 'one hook point')
      if (!same) {
        throw refuse('it reconstructs what it reads', 'no hook_out, or the family transcoder', [
          'hook_out',
          'family',
        ])
      }
      break
    case 'in_out':
      if (inputs.length !== 1 || outputs.length !== 1 || same) {
        throw refuse(
          'it reads one hook point and predicts another',
          'hook and hook_out, one each and different',
          ['hook_out', 'family'],
        )
      }
      break
    case 'several':
      if (inputs.length < 2) throw refuse('it joins several hook points', 'two hook points or more')
      if (!same) throw refuse('it reconstructs what it reads', 'no hook_out', ['hook_out', 'family'])
      break
    case 'layers':
      if (outputs.length !== inputs.length || same) {
        throw refuse(
          'it reads one hook point per layer and predicts another of that layer',
          'as many hook_out as hook, layer by layer',
          ['hook_out', 'hook'],
        )
      }
      break
  }
  const spans = (hooks: readonly string[]) => hooks.map(hook => ({ hook, width: widthOf(hook) }))
  const read = spans(inputs)
  if (family.hooks === 'several') checkWidths(read, family)
  return { inputs: read, outputs: same ? read : spans(outputs) }
}

/** Layers or models of one crosscoder have one width. */
function checkWidths(spans: readonly HookSpan[], family: Family): void {
  const [first] = spans
  for (const { hook, width } of spans) {
    if (width === first.width) continue
    throw contradiction({
      message: `the hook points of a ${family.name} must have one width`,
      fields: [first.hook, hook],
      found: `${first.width} and ${width}`,
      expected: 'hook points of one width',
    })
  }
}

const listed = (hooks: readonly string[]): string => (hooks.length === 0 ? 'none' : hooks.join(', '))

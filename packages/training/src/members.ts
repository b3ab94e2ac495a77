// The SAEs of one run: every choice of hook points that the family asks for, times every variant of a sweep. A member's
// name is also its folder's, so it is made only here.

import type { HookUse } from '@mistudio/contract'
import { InputError } from '@mistudio/files'
import { familyOf } from './families.ts'
import type { FieldValue, Settings } from './fields.ts'
import type { TrainMember } from './member.ts'

/** Values by setting; every combination is a variant. `d_sae` may be swept as well. */
export type Sweep = Readonly<Record<string, readonly FieldValue[]>>

export type RunMember = TrainMember & {
  /** The swept settings and their values here. */
  variant: Settings
}

/**
 * @param options.inputs hook points read, `outputs` those predicted (empty: what is read). A family of one hook point
 *   makes a member of each, one that predicts pairs them in order, the others join them all in one member.
 * @throws InputError if inputs and outputs cannot be paired, for an unknown family or an empty sweep
 */
export function membersOf(options: {
  family: string
  inputs: readonly string[]
  outputs?: readonly string[]
  dSae: number
  settings: Settings
  sweep?: Sweep
}): RunMember[] {
  const { family, inputs, outputs = [], dSae, settings, sweep = {} } = options
  const places = hookChoices({ hooks: familyOf(family).hooks, inputs, outputs })
  return places.flatMap(place =>
    variantsOf(sweep).map(variant => {
      const { d_sae: swept, ...changed } = variant
      return {
        name: [
          nameOf(place),
          ...Object.entries(variant).map(([key, value]) => `${key}=${textOf(value)}`),
        ].join('-'),
        family,
        ...place,
        dSae: typeof swept === 'number' ? swept : dSae,
        settings: { ...settings, ...changed },
        variant,
      }
    }),
  )
}

/** Every combination of the values, the last setting fastest; one empty variant without a sweep. */
export function variantsOf(sweep: Sweep): Settings[] {
  let variants: Settings[] = [{}]
  for (const [key, values] of Object.entries(sweep)) {
    const once = new Set(values.map(textOf))
    if (values.length === 0 || once.size < values.length) {
      throw new InputError({
        message: 'a value appears twice in a sweep',
        field: key,
        found: values.length === 0 ? 'no value' : values.map(textOf).join(', '),
        expected: 'different values',
      })
    }
    variants = variants.flatMap(variant => values.map(value => ({ ...variant, [key]: value })))
  }
  return variants
}

type Place = { inputs: readonly string[]; outputs: readonly string[] }

function hookChoices(options: Place & { hooks: HookUse }): Place[] {
  const { hooks, inputs, outputs } = options
  switch (hooks) {
    case 'one':
      return inputs.map(input => ({ inputs: [input], outputs }))
    case 'in_out': {
      if (inputs.length !== outputs.length) {
        throw new InputError({
          message: 'every hook point read needs one to predict',
          field: 'hook_out and hook',
          found: `${outputs.length} and ${inputs.length}`,
          expected: 'as many hook_out as hook',
        })
      }
      return inputs.map((input, i) => ({ inputs: [input], outputs: [outputs[i]] }))
    }
    case 'several':
    case 'layers':
      return [{ inputs, outputs }]
  }
}

const nameOf = ({ inputs, outputs }: Place): string =>
  [inputs, outputs]
    .filter(hooks => hooks.length > 0)
    .map(joined)
    .join('~')

/** `blocks.0,1,2.hook_resid_post` where only the layer differs. */
function joined(hooks: readonly string[]): string {
  const found = hooks.map(hook => /^blocks\.(\d+)\.(.+)$/.exec(hook))
  const rest = found[0]?.[2]
  if (hooks.length > 1 && found.every(match => match !== null && match[2] === rest)) {
    return `blocks.${found.map(match => match![1]).join(',')}.${rest}`
  }
  return hooks.join('+')
}

/** A value as part of a folder name. */
const textOf = (value: FieldValue): string =>
  Array.isArray(value) ? value.join('+') : String(value).replaceAll(/[^\w.+-]/g, '_')

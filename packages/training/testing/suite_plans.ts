// The plans of the suite over learners: those by hand, and what every family's defaults mean for a small SAE.
import { families } from '../src/families.ts'
import type { Settings } from '../src/fields.ts'
import { completeMember } from '../src/member.ts'
import { type Example, examples } from './example_plans.ts'

/** Inputs a and b are 6 wide, predicted hook points c and d 5. */
const widthOf = (hook: string) => (hook < 'c' ? 6 : 5)

/** A family with its defaults, 24 latents (k 4), latents dead after 1,000 tokens. */
function familyExample(name: string): Example {
  const family = families.find(one => one.name === name)!
  const hooks = {
    one: { inputs: ['a'], outputs: [] },
    in_out: { inputs: ['a'], outputs: ['c'] },
    several: { inputs: ['a', 'b'], outputs: [] },
    layers: { inputs: ['a', 'b'], outputs: ['c', 'd'] },
  }[family.hooks]
  // Crosscoders have k only with a TopK activation. A wide rectangle has pre-activations in it.
  const settings: Settings = {
    dead_after_tokens: 1000,
    ...('k' in family.fields && family.fields.k.default !== null ? { k: 4 } : {}),
    ...(name === 'jumprelu' || name === 'cross_layer_transcoder' ? { bandwidth: 0.3 } : {}),
  }
  const { plan, dynamicsAt } = completeMember({
    member: { name, family: name, ...hooks, dSae: 24, settings },
    widthOf,
    batchSize: 60,
    totalSteps: 200,
    trainTokens: 12_000,
  })
  return { name: `family ${name}`, plan, dynamics: dynamicsAt(100, 1) }
}

export const suitePlans: readonly Example[] = [
  ...examples,
  ...families.map(({ name }) => familyExample(name)),
]

// Whether a model has the layers and hook types that a training asks for.
import type { HookType } from '@mistudio/contract'
import type { models } from '../../db/schema.ts'
import { ProblemError } from '../../problem.ts'

/** @throws ProblemError naming the field, what was found and what the model has */
export function checkHooks(options: {
  layers: number[]
  hookTypes: HookType[]
  outputHookType: HookType | null
  model: typeof models.$inferSelect
}): void {
  const { layers, hookTypes, outputHookType, model } = options
  const refuse = (field: string, found: unknown, expected: string) =>
    new ProblemError('invalid', { title: `${field} cannot be used`, field, found: String(found), expected })
  for (const [field, values] of [
    ['layers', layers],
    ['hook_types', hookTypes],
  ] as const) {
    const twice = values.find((value, i) => values.some((other, j) => other === value && j < i))
    if (twice !== undefined) throw refuse(field, `${twice} twice`, 'each once')
  }
  const beyond = layers.find(layer => layer >= model.layers)
  if (beyond !== undefined) throw refuse('layers', beyond, `0 to ${model.layers - 1} for ${model.name}`)
  const unknown = hookTypes.find(type => !model.hook_types.includes(type))
  if (unknown !== undefined) throw refuse('hook_types', unknown, model.hook_types.join(', '))
  if (outputHookType !== null && !model.hook_types.includes(outputHookType)) {
    throw refuse('output_hook_type', outputHookType, model.hook_types.join(', '))
  }
}

// Several models over the same tokens as one forward pass, for a crosscoder between models (Anthropic's model diffing):
// hook points are named MODEL:HOOK, the model by its index in the list, e.g. `0:blocks.2.hook_resid_post`.
import { InputError } from '@mistudio/files'
import type { Place } from '@mistudio/tensor'
import type { Forward } from './sources.ts'

export const modelHook = (model: number, hook: string): string => `${model}:${hook}`

/** The hook points of each model. @throws InputError for a name without a model, or with one that does not exist */
export function splitModelHooks(options: { hooks: readonly string[]; models: number }): string[][] {
  const { hooks, models } = options
  const split: string[][] = Array.from({ length: models }, () => [])
  for (const name of hooks) {
    const [, model, hook] = /^(\d{1,4}):(.+)$/.exec(name) ?? []
    if (hook === undefined || Number(model) >= models) {
      throw new InputError({
        message: 'with several models a hook point must name its model',
        field: 'hook',
        found: name,
        expected: `MODEL:HOOK with MODEL from 0 to ${models - 1}, e.g. ${modelHook(models - 1, 'blocks.0.hook_resid_post')}`,
      })
    }
    if (!split[Number(model)].includes(hook)) split[Number(model)].push(hook)
  }
  const idle = split.findIndex(list => list.length === 0)
  if (idle >= 0) {
    throw new InputError({
      message: 'one of the models has no requested hook point',
      field: 'hook',
      found: hooks.join(', '),
      expected: `also one of model ${idle}, ${modelHook(idle, 'blocks.0.hook_resid_post')}, or fewer models`,
    })
  }
  return split
}

/**
 * One pass of several models: all read the same `input_ids`, and their calls run side by side on the worker pool.
 * @param options.forwards compiled with the same context size and contexts per call, one per model
 */
export function joinForwards(options: { forwards: readonly Forward[] }): Forward {
  const { forwards } = options
  return {
    outputs: forwards.flatMap(({ outputs }, model) =>
      outputs.map(({ name, width }) => ({ name: modelHook(model, name), width })),
    ),
    tasks: ({ contexts, places }) =>
      forwards.flatMap((forward, model) => {
        const own: Record<string, Place> = { input_ids: places.input_ids }
        for (const { name } of forward.outputs) {
          const place = places[modelHook(model, name)]
          if (place !== undefined) own[name] = place
        }
        return forward.tasks({ contexts, places: own })
      }),
  }
}

// The SAEs that a request for a training asks for: hook points by the family's use of them, recipe, settings and sweep
// put together and checked by the engine's own tables, so that nothing starts that could not train.
import {
  type HookType,
  type Hyperparameters,
  type HyperparametersAsked,
  hookPointOf,
  membersAtMost,
  parseHookPoint,
  type Settings,
  type TrainingMember,
  type TrainingRequest,
} from '@mistudio/contract'
import { InputError } from '@mistudio/files'
import {
  byWireName,
  type CompleteMember,
  completeMember,
  familyOf,
  membersOf,
  type RunMember,
  readFields,
  recipeOf,
  runFields,
  splitRecipe,
} from '@mistudio/training'
import { ProblemError } from '../../problem.ts'
import { plainSettings } from '../families.ts'

/** A request once its hyperparameters are resolved, or a training's row. */
export type Asked = Pick<TrainingRequest, 'layers' | 'hook_types' | 'output_hook_type' | 'sweep'> & {
  hyperparameters: Hyperparameters
}

/** What the engine trains: members as rows, requests and runners share them. */
export type PlannedMember = { member: RunMember; complete: CompleteMember }

/**
 * @param options.widthOf width of a hook point of the model
 * @throws ProblemError 400 naming the field
 */
export function planMembers(options: { asked: Asked; widthOf: (hook: string) => number }): PlannedMember[] {
  const { asked, widthOf } = options
  const { train_tokens, batch_size } = asked.hyperparameters
  const totalSteps = Math.ceil(train_tokens / batch_size)
  return asProblem(() =>
    runMembers(asked).map(member => ({
      member,
      complete: completeMember({
        member,
        widthOf,
        batchSize: batch_size,
        totalSteps,
        trainTokens: totalSteps * batch_size,
        known: [...runNames],
      }),
    })),
  )
}

/** The members of a training, in their order. */
export function runMembers(asked: Asked): RunMember[] {
  const { layers, hook_types, output_hook_type, hyperparameters, sweep } = asked
  const { family: name, d_sae: dSae } = hyperparameters
  const family = familyOf(name)
  const predicts = family.hooks === 'in_out' || family.hooks === 'layers'
  checkOutput({ family: family.title, predicts, output: output_hook_type })
  const count = (family.hooks === 'one' || family.hooks === 'in_out' ? layers.length : 1) * hook_types.length
  const variants = Object.values(sweep).reduce((product, values) => product * values.length, 1)
  if (count * variants > membersAtMost) {
    throw new ProblemError('invalid', {
      title: 'there are more SAEs than one training takes',
      field: 'sweep',
      found: `${count * variants} SAEs`,
      expected: `at most ${membersAtMost}`,
    })
  }
  const points = (hookType: HookType, of: number[]) => of.map(layer => hookPointOf({ layer, hookType }))
  const outputs = (of: number[]) => (predicts ? points(output_hook_type!, of) : [])
  const settings = settingsOfRun(hyperparameters)
  const of = (inputs: string[], out: string[]) =>
    membersOf({ family: name, inputs, outputs: out, dSae, settings, sweep })
  // A joint member takes all layers of one hook type; the others one layer each, as a reader expects them: by layer.
  return family.hooks === 'several' || family.hooks === 'layers'
    ? hook_types.flatMap(type => of(points(type, layers), outputs(layers)))
    : layers.flatMap(layer => hook_types.flatMap(type => of(points(type, [layer]), outputs([layer]))))
}

/** The recipe's, then those of the request. */
function settingsOfRun({ recipe, settings }: Hyperparameters): Settings {
  return recipe === null ? settings : { ...plainSettings(splitRecipe(recipeOf(recipe)).member), ...settings }
}

/**
 * What is asked for with the recipe's family and run settings filled in, checked.
 * @throws ProblemError 400 naming the field
 */
export function resolveHyperparameters(asked: HyperparametersAsked): Hyperparameters {
  return asProblem(() => {
    const recipe = asked.recipe === null ? undefined : recipeOf(asked.recipe)
    const of = recipe === undefined ? {} : plainSettings(splitRecipe(recipe).run)
    const { batch_size: size, train_tokens: _tokens, seed: _seed, ...rest } = of
    if (recipe !== undefined && asked.family !== undefined && asked.family !== recipe.family) {
      throw new InputError({
        message: `recipe and family contradict each other: ${recipe.name} is one of ${recipe.family}`,
        field: 'recipe',
        found: `${recipe.name} and ${asked.family}`,
        expected: `the family ${recipe.family}, or another recipe`,
      })
    }
    const run = { ...rest, ...asked.run }
    checkRun(run)
    const batch_size = asked.batch_size ?? (typeof size === 'number' ? size : runFields.batchSize.default)
    return { ...asked, family: asked.family ?? recipe?.family ?? 'topk', batch_size, run }
  })
}

/** Settings of the run that a training's request has a place of its own for. */
const elsewhere = ['train_tokens', 'batch_size', 'seed']

function checkRun(run: Settings): void {
  const known = [...byWireName(runFields).keys()].filter(name => !elsewhere.includes(name))
  const unknown = Object.keys(run).find(name => !known.includes(name))
  if (unknown === undefined) {
    readFields(runFields, run)
    return
  }
  throw new InputError({
    message: `the run has no setting ${unknown}`,
    field: unknown,
    found: unknown,
    expected: known.join(', '),
  })
}

function checkOutput(options: { family: string; predicts: boolean; output: HookType | null }): void {
  const { family, predicts, output } = options
  if (predicts === (output !== null)) return
  throw new ProblemError('invalid', {
    title: predicts ? `${family} predicts a hook point` : `${family} rebuilds what it reads`,
    field: 'output_hook_type',
    found: output ?? 'nothing',
    expected: predicts ? 'the hook type that is predicted' : 'none',
  })
}

/** What the engine says of a setting, as a problem of the request's field. */
function asProblem<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof InputError) || error.details.field === undefined) throw error
    const { message, field, ...details } = error.details
    const places = field.split(/ and |, /).map(placeOf)
    throw new ProblemError('invalid', { title: message, field: places.join(' and '), ...details })
  }
}

const runNames = new Set(byWireName(runFields).keys())

function placeOf(name: string): string {
  if (name === 'hook_out') return 'output_hook_type'
  if (name === 'hook') return 'hook_types'
  if (['family', 'recipe', 'd_sae', ...elsewhere].includes(name)) return `hyperparameters.${name}`
  return runNames.has(name) ? `hyperparameters.run.${name}` : `hyperparameters.settings.${name}`
}

/** A member as its row begins. */
export function unmeasuredMember({ member, complete }: PlannedMember): TrainingMember {
  const [first] = member.inputs
  const place = parseHookPoint(first)
  const joint = member.inputs.length > 1
  return {
    name: member.name,
    family: member.family,
    variant: plainSettings(member.variant),
    hook_point: first,
    inputs: complete.hooks.inputs.map(({ hook }) => hook),
    outputs: complete.hooks.outputs.map(({ hook }) => hook),
    layer: joint ? null : (place?.layer ?? null),
    hook_type: place?.hookType ?? null,
    d_sae: member.dSae,
    status: 'pending',
    error_message: null,
    step: 0,
    loss: null,
    fvu: null,
    l0: null,
    dead_latents: null,
    grad_norm: null,
    metrics: {},
    l0_histogram: null,
    density_histogram: null,
    warnings: [],
  }
}

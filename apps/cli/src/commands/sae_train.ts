// `mistudio sae train`: one or many SAEs of any family from one pass of the model over the training documents.
import { resolve } from 'node:path'
import { InputError } from '@mistudio/files'
import { withWorkerPool } from '@mistudio/tensor'
import type { TrainOptions } from '@mistudio/training'
import { defineCommand, type Stopped } from '../frame/command.ts'
import { writableFolder } from '../frame/data_folder.ts'
import { count, figure, table } from '../frame/output.ts'
import { datasetWeights, modelFolders } from './shared/capture_options.ts'
import { shared } from './shared/options.ts'
import { shown, showTraining } from './shared/trained.ts'
import { adviceOf, adviceText, refuseUnfit } from './shared/training_advice.ts'
import { type TrainingWords, trainingSettings } from './shared/training_settings.ts'
import { withTrainingSource } from './shared/training_source.ts'

export const saeTrain = defineCommand({
  name: 'sae train',
  summary: 'train SAEs of any family, one or many from one pass of the model',
  details:
    'Each SAE is saved to OUT/NAME in SAELens layout; its name is its hook point with the swept values. A family that\n' +
    'reads one hook point makes an SAE of each --hook, a transcoder pairs --hook with --hook-out in order, a crosscoder\n' +
    'and a cross-layer transcoder take all of them in one. `mistudio sae recipes` lists recipes with what they set;\n' +
    'docs/families.md lists the settings for --set and --sweep. One SAE may fail alone: the others go on, and --retry\n' +
    'trains it again, from its last checkpoint or from the start. Ctrl-C saves a checkpoint and the SAEs as they are;\n' +
    '--resume goes on from there, and also after a crash, and gives the same bits as a run that never stopped.',
  options: {
    model: {
      kind: 'paths',
      value: 'DIR…',
      required: true,
      help: 'folder of the model, or of several with one tokenizer',
    },
    dataset: {
      kind: 'paths',
      value: 'DIR…',
      help: 'token stores to train on, mixed; required without --cached',
    },
    cached: {
      kind: 'path',
      value: 'DIR',
      help: 'activations of `sae cache` or of SAELens, in place of --dataset',
    },
    'dataset-weights': {
      kind: 'text',
      value: 'W,W…',
      help: 'share of the tokens of each --dataset, in their order (default: all texts once, one order)',
    },
    hook: { kind: 'texts', value: 'HOOK,HOOK…', required: true, help: 'hook points that are read' },
    'hook-out': {
      kind: 'texts',
      value: 'HOOK,HOOK…',
      help: 'hook points that are predicted, for transcoders',
    },
    family: { kind: 'text', value: 'NAME', help: "the kind of SAE (default: the recipe's, else topk)" },
    recipe: { kind: 'text', value: 'NAME', help: 'settings of a paper or a tool; single ones go on top' },
    'd-sae': {
      kind: 'integer',
      value: 'N',
      required: true,
      min: 1,
      max: 1_048_576,
      help: 'latents of each SAE',
    },
    k: {
      kind: 'integer',
      value: 'K',
      min: 1,
      max: 65_536,
      help: 'latents kept a token, at most d-sae; as --set k=K',
    },
    set: {
      kind: 'pairs',
      value: 'KEY=VALUE',
      help: 'a setting of the family, of every SAE or of the run; repeatable',
    },
    sweep: {
      kind: 'pairs',
      value: 'KEY=V1,V2…',
      help: 'an SAE for each value (k, lambda, d_sae …); repeatable, then for each combination',
    },
    'train-tokens': { kind: 'integer', value: 'N', required: true, min: 1, help: 'tokens to train on' },
    out: { kind: 'path', value: 'DIR', required: true, help: 'folder of the run' },
    seed: shared.seed,
    resume: { kind: 'flag', help: 'go on from the last checkpoint in OUT' },
    retry: {
      kind: 'text',
      value: 'NAME',
      help: 'train the SAE of this name again, which failed or was stopped',
    },
    'from-start': { kind: 'flag', help: 'with --retry: from the start, not from its last checkpoint' },
    'batch-size': {
      kind: 'integer',
      value: 'N',
      min: 1,
      max: 1_048_576,
      help: "tokens a step (default: the recipe's, else 1024)",
    },
    'learning-rate': {
      kind: 'number',
      value: 'X',
      min: 0,
      max: 1,
      help: "Adam's rate (default: by family, width and length)",
    },
    advice: {
      kind: 'flag',
      help: 'measure for five seconds and say what the training takes, without training',
    },
    'checkpoint-every': {
      kind: 'integer',
      value: 'STEPS',
      min: 1,
      help: 'steps between checkpoints (default: by time)',
    },
    threads: shared.threads,
  },
  spec: values => {
    if (values.k !== undefined && values.k > values['d-sae']) {
      const expected = `at most d-sae, ${values['d-sae']}`
      throw new InputError({ message: 'k exceeds d_sae', field: '--k', found: String(values.k), expected })
    }
    if (values['from-start'] && values.retry === undefined) {
      const expected = '--retry NAME with it'
      throw new InputError({ message: '--from-start belongs to --retry', field: '--from-start', expected })
    }
    const words: TrainingWords = {
      family: values.family,
      recipe: values.recipe,
      hooks: values.hook,
      hooksOut: values['hook-out'] ?? [],
      dSae: values['d-sae'],
      k: values.k,
      learningRate: values['learning-rate'],
      set: values.set ?? [],
      sweep: values.sweep ?? [],
      run: {
        train_tokens: values['train-tokens'],
        seed: values.seed,
        ...(values['batch-size'] !== undefined && { batch_size: values['batch-size'] }),
        ...(values['checkpoint-every'] !== undefined && {
          checkpoint_every_steps: values['checkpoint-every'],
        }),
      },
    }
    return {
      models: modelFolders(values.model),
      datasets: values.dataset ?? [],
      cached: values.cached ?? null,
      advice: values.advice,
      weights: datasetWeights(values['dataset-weights']),
      words,
      out: writableFolder({ path: values.out, field: '--out' }),
      resume: values.resume,
      retry: values.retry === undefined ? null : { name: values.retry, start: values['from-start'] },
      threads: values.threads,
    }
  },
  async job(spec, context) {
    const { adviceLine, retrySae, trainSaes } = await import('@mistudio/training')
    const { members, settings } = await trainingSettings(spec.words)
    const hooks = [...new Set(members.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))]
    const { models, datasets, cached, weights, threads, retry } = spec
    const given = { models, datasets, cached, weights, hooks, seed: spec.words.run.seed as number }
    return await withWorkerPool({ threads }, pool =>
      withTrainingSource({ pool, ...given }, async (capture, origin) => {
        const { activations, modelName, datasets } = capture
        const options: TrainOptions = {
          pool,
          activations,
          modelName,
          datasets,
          origin,
          members,
          settings,
          out: spec.out,
          resume: spec.resume,
          stopped: context.signal.stopped,
          onEvent: event => showTraining(event, context),
        }
        const advice = await adviceOf({ training: options, members, capture, probe: spec.advice })
        if (spec.advice)
          return { kind: 'advice' as const, text: adviceText(advice, adviceLine(advice)), ...advice }
        refuseUnfit(advice)
        const result =
          retry === null
            ? await trainSaes(options)
            : await retrySae({ ...options, name: retry.name, from: retry.start ? 'start' : 'checkpoint' })
        const { status, step, tokens } = result
        const saes = result.saes.map(sae => shown(sae, spec.out))
        const trained: Trained = { kind: 'trained', path: spec.out, status, step, tokens, saes }
        if (status !== 'completed') {
          trained.stopped = { savedTo: resolve(spec.out), how: 'run the same command with --resume to go on' }
        }
        return trained
      }),
    )
  },
  present: result => (result.kind === 'advice' ? result.text : presentTrained(result)),
  json: ({ kind: _, ...result }) => {
    if (!('text' in result)) return result
    const { text: _text, ...advice } = result
    return advice
  },
  failed: result => result.kind === 'trained' && result.saes.some(({ status }) => status === 'failed'),
})

function presentTrained({ status, tokens, saes, stopped }: Trained): string {
  return [
    status === 'completed' ? `Trained on ${count(tokens)} tokens.` : `Stopped after ${count(tokens)} tokens.`,
    '',
    table({
      head: ['SAE', 'family', 'd_sae', 'L0', 'FVU', 'dead', 'saved to'],
      rows: saes.map(sae => [
        sae.name,
        sae.family,
        count(sae.d_sae),
        figure(sae.l0),
        figure(sae.fvu),
        count(sae.dead_latents),
        sae.path ?? `failed: ${sae.error}`,
      ]),
    }),
    ...(stopped === undefined ? [] : ['', `Saved in ${stopped.savedTo}; ${stopped.how}.`]),
  ].join('\n')
}

type Trained = {
  kind: 'trained'
  path: string
  status: string
  step: number
  tokens: number
  saes: ReturnType<typeof shown>[]
} & Stopped

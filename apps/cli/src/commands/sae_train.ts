// `mistudio sae train`: one or many SAEs from one pass of the model over the training documents.
import { join, resolve } from 'node:path'
import type { TokenStore } from '@mistudio/corpus'
import type { TrainProgress } from '@mistudio/sae'
import { InputError } from '@mistudio/tensor'
import { defineCommand, type JobContext, type Stopped, shared } from '../command.ts'
import { writableFolder } from '../data_folder.ts'
import { checkStore, contextsPerCall, withLanes } from '../engine.ts'
import { count, table } from '../output.ts'

export const saeTrain = defineCommand({
  name: 'sae train',
  summary: 'train TopK SAEs, one for each hook point, from one pass of the model',
  details:
    'Each SAE is saved to OUT/HOOK in SAELens layout. Ctrl-C saves a checkpoint and the SAEs as they are; --resume goes\n' +
    'on from there, and also after a crash, and gives the same bits as a run that never stopped.',
  options: {
    model: shared.model,
    dataset: { kind: 'paths', value: 'DIR…', required: true, help: 'token stores to train on, mixed' },
    hook: { kind: 'texts', value: 'HOOK,HOOK…', required: true, help: 'hook points' },
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
      required: true,
      min: 1,
      max: 65_536,
      help: 'latents kept a token, at most d-sae',
    },
    'train-tokens': { kind: 'integer', value: 'N', required: true, min: 1, help: 'tokens to train on' },
    out: { kind: 'path', value: 'DIR', required: true, help: 'folder of the run' },
    seed: shared.seed,
    resume: { kind: 'flag', help: 'go on from the last checkpoint in OUT' },
    'batch-size': {
      kind: 'integer',
      value: 'N',
      min: 1,
      max: 1_048_576,
      default: 1024,
      help: 'tokens a step',
    },
    'learning-rate': {
      kind: 'number',
      value: 'X',
      min: 0,
      max: 1,
      help: "Adam's rate (default: by width and length)",
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
    if (values.k > values['d-sae']) {
      const expected = `at most d-sae, ${values['d-sae']}`
      throw new InputError({ message: 'k exceeds d_sae', field: '--k', found: String(values.k), expected })
    }
    return {
      model: values.model,
      datasets: values.dataset,
      hooks: values.hook,
      dSae: values['d-sae'],
      k: values.k,
      out: writableFolder({ path: values.out, field: '--out' }),
      resume: values.resume,
      threads: values.threads,
      settings: {
        trainTokens: values['train-tokens'],
        seed: values.seed,
        batchSize: values['batch-size'],
        ...(values['learning-rate'] !== undefined && { learningRate: values['learning-rate'] }),
        ...(values['checkpoint-every'] !== undefined && { checkpointEverySteps: values['checkpoint-every'] }),
      },
    }
  },
  async job(spec, context) {
    const { openTokenStore } = await import('@mistudio/corpus')
    const { compileForward, openModel } = await import('@mistudio/model')
    const { shuffledContexts, trainSaes } = await import('@mistudio/sae')
    const model = await openModel({ dir: spec.model })
    const stores: TokenStore[] = []
    try {
      for (const dir of spec.datasets) stores.push(openTokenStore({ dir }))
      for (const store of stores) checkStore({ store, model })
      const contextSize = oneContextSize(stores)
      const perCall = contextsPerCall(contextSize)
      return await withLanes({ threads: spec.threads }, async lanes => {
        const forward = await compileForward({
          model,
          lanes,
          contextsPerCall: perCall,
          contextSize,
          captures: spec.hooks,
        })
        const splits = stores.map(store => store.split('train'))
        const result = await trainSaes({
          lanes,
          forward,
          contextsPerCall: perCall,
          source: shuffledContexts({ splits, contextSize, seed: spec.settings.seed }),
          members: spec.hooks.map(hook => ({ name: hook, hook, dSae: spec.dSae, config: { k: spec.k } })),
          settings: spec.settings,
          modelName: model.name,
          datasets: stores.map(({ name }) => name),
          out: spec.out,
          resume: spec.resume,
          stopped: context.signal.stopped,
          onEvent: event => showTraining(event, context),
        })
        await forward.close()
        const saes = result.saes.map(sae => ({
          path: join(spec.out, sae.dir),
          hook_point: sae.hook,
          d_sae: spec.dSae,
          k: spec.k,
          tokens: sae.tokens,
          dead_latents: sae.deadLatents,
        }))
        const { status, step, tokens } = result
        const trained: {
          path: string
          status: string
          step: number
          tokens: number
          saes: typeof saes
        } & Stopped = {
          path: spec.out,
          status,
          step,
          tokens,
          saes,
        }
        if (status === 'stopped') {
          trained.stopped = { savedTo: resolve(spec.out), how: 'run the same command with --resume to go on' }
        }
        return trained
      })
    } finally {
      for (const store of stores) store.close()
    }
  },
  present: ({ status, tokens, saes, stopped }) =>
    [
      status === 'completed'
        ? `Trained on ${count(tokens)} tokens.`
        : `Stopped after ${count(tokens)} tokens.`,
      '',
      table({
        head: ['hook point', 'd_sae', 'k', 'dead', 'saved to'],
        rows: saes.map(sae => [
          sae.hook_point,
          count(sae.d_sae),
          count(sae.k),
          count(sae.dead_latents),
          sae.path,
        ]),
      }),
      ...(stopped === undefined ? [] : ['', `Saved in ${stopped.savedTo}; ${stopped.how}.`]),
    ].join('\n'),
})

/** @throws InputError when the stores are cut into contexts of different lengths */
function oneContextSize(stores: readonly TokenStore[]): number {
  const [first] = stores
  for (const { contextSize, dir } of stores) {
    if (contextSize === first.contextSize) continue
    throw new InputError({
      message: 'the datasets are cut into contexts of different lengths',
      file: dir,
      field: 'context_size',
      found: String(contextSize),
      expected: `${first.contextSize}, as in ${first.dir}`,
    })
  }
  return first.contextSize
}

/** A training event as progress: the mean FVU of the SAEs stands beside it. */
export function showTraining(event: TrainProgress, context: JobContext): void {
  const fvus = event.saes.flatMap(({ fvu }) => (fvu !== null && Number.isFinite(fvu) ? [fvu] : []))
  const fvu = fvus.length === 0 ? null : fvus.reduce((sum, value) => sum + value, 0) / fvus.length
  context.progress(
    {
      stage: `training ${event.saes.length} SAE${event.saes.length === 1 ? '' : 's'}`,
      done: event.tokens,
      total: event.total_tokens,
      unit: 'tokens',
      figures: { fvu },
    },
    event,
  )
}

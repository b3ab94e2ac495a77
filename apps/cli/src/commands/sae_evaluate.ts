// `mistudio sae evaluate`: reconstruction and ΔCE of an SAE on documents it was not trained on.
import { InputError } from '@mistudio/tensor'
import { defineCommand, shared } from '../command.ts'
import { checkStore, contextsPerCall, saeFolder, withLanes } from '../engine.ts'
import { count, figure, pairs, percent } from '../output.ts'

export const saeEvaluate = defineCommand({
  name: 'sae evaluate',
  summary: 'measure how well an SAE reconstructs, and what that does to the model',
  details:
    'FVU: squared error over the variance about the global mean. L0: mean latents firing a token. ΔCE: how many nats a\n' +
    'token the model gets worse with the reconstruction in place of the activation; the CE score puts that between the\n' +
    'activation set to zero (0) and untouched (1). Position 0 and special tokens count in none of them.',
  options: {
    sae: { kind: 'path', value: 'DIR', required: true, help: 'folder of the SAE (SAELens layout)' },
    model: shared.model,
    dataset: { kind: 'path', value: 'DIR', required: true, help: 'token store' },
    split: {
      kind: 'text',
      value: 'NAME',
      choices: ['held_out', 'train'],
      default: 'held_out',
      help: 'documents to measure on',
    },
    'max-tokens': {
      kind: 'integer',
      value: 'N',
      min: 1,
      default: 1_000_000,
      help: 'tokens for reconstruction, at most',
    },
    'ce-tokens': {
      kind: 'integer',
      value: 'N',
      min: 1,
      default: 65_536,
      help: 'tokens for the cross-entropies, at most',
    },
    threads: shared.threads,
  },
  spec: values => ({
    sae: saeFolder(values.sae),
    model: values.model,
    dataset: values.dataset,
    split: values.split === 'train' ? ('train' as const) : ('held_out' as const),
    maxTokens: values['max-tokens'],
    maxCeTokens: values['ce-tokens'],
    threads: values.threads,
  }),
  async job(
    { sae: dir, model: modelDir, dataset, split: splitName, maxTokens, maxCeTokens, threads },
    context,
  ) {
    const { openTokenStore } = await import('@mistudio/corpus')
    const { compileForward, openModel } = await import('@mistudio/model')
    const { evaluateSaes, loadSaeLens, shuffledContexts } = await import('@mistudio/sae')
    const model = await openModel({ dir: modelDir })
    const sae = loadSaeLens({ dir })
    const hook = sae.metadata.hookPoint
    const width = model.hooks.find(({ name }) => name === hook)?.width
    if (width !== sae.shape.dIn) {
      throw new InputError({
        message: `the SAE does not fit the model ${model.name}`,
        file: dir,
        field: width === undefined ? 'hook_name' : 'd_in',
        found: width === undefined ? hook : String(sae.shape.dIn),
        expected:
          width === undefined ? `one of ${model.hookPoints.join(', ')}` : `${width}, the width of ${hook}`,
      })
    }
    const store = openTokenStore({ dir: dataset })
    try {
      checkStore({ store, model })
      const { contextSize } = store
      const perCall = contextsPerCall(contextSize)
      const source = shuffledContexts({ splits: [store.split(splitName)], contextSize, seed: 0 })
      const evaluation = await withLanes({ threads }, async lanes => {
        const graph = { model, lanes, contextsPerCall: perCall, contextSize }
        const suffix = await compileForward({ ...graph, from: hook, tokenLoss: true })
        const prefix = await compileForward({ ...graph, captures: [hook, ...suffix.frontier] })
        const [{ sums: _, ...measured }] = await evaluateSaes({
          lanes,
          saes: [{ sae, hook, suffix }],
          prefix,
          contextsPerCall: perCall,
          source,
          split: splitName,
          maxTokens,
          maxCeTokens,
          stopped: context.signal.stopped,
          onProgress: (done, total) =>
            context.progress({ stage: 'evaluating', done, total, unit: 'contexts' }),
        })
        await prefix.close()
        await suffix.close()
        return measured
      })
      const { dSae } = sae.shape
      return { path: dir, hook_point: hook, d_sae: dSae, k: sae.k, dataset: store.name, ...evaluation }
    } finally {
      store.close()
    }
  },
  present: e =>
    pairs([
      ['SAE', `${e.path} (${e.hook_point}, ${count(e.d_sae)} latents, k ${e.k})`],
      [
        'measured on',
        `${e.dataset}, split ${e.split}: ${count(e.tokens)} tokens, ${count(e.ce_tokens)} for CE`,
      ],
      ['FVU', figure(e.fvu, 4)],
      ['L0', figure(e.l0)],
      ['never fired', percent(e.dead_fraction)],
      ['CE clean', figure(e.ce_clean, 4)],
      ['CE spliced', figure(e.ce_spliced, 4)],
      ['CE zeroed', figure(e.ce_zero, 4)],
      ['ΔCE', `${figure(e.delta_ce)} nats a token`],
      ['CE score', figure(e.ce_score, 4)],
    ]),
})

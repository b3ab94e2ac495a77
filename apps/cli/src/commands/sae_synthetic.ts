// `mistudio sae synthetic`: trains an SAE on activations made of known directions and says how many of them it found.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withWorkerPool } from '@mistudio/tensor'
import type { GroundTruthOptions } from '@mistudio/training'
import { defineCommand, StoppedEarly } from '../frame/command.ts'
import { duration, figure, pairs, percent } from '../frame/output.ts'
import { shared } from './shared/options.ts'
import { trainingSettings } from './shared/training_settings.ts'

export const saeSynthetic = defineCommand({
  name: 'sae synthetic',
  summary: 'train an SAE on known sparse directions and count those it found',
  details:
    'Activations are sums of unit directions, each firing with magnitude 1 + 0.25·|N(0, 1)|. recovered: share of the true\n' +
    'directions with an alive latent of cosine 0.9 or more; mmcs: mean over true directions of the largest cosine with an\n' +
    'alive latent; precision: share of the alive latents with a true direction of cosine 0.9 or more. fvu, l0 and alive\n' +
    'are over 131,072 held-out draws. Settings not given suit such data (they are not those of sae train); k is the mean L0.',
  options: {
    family: { kind: 'text', value: 'NAME', required: true, help: 'the kind of SAE, e.g. topk' },
    set: {
      kind: 'pairs',
      value: 'KEY=VALUE',
      help: 'a setting of the family, of every SAE or of the run; repeatable',
    },
    seed: shared.seed,
    tokens: {
      kind: 'integer',
      value: 'N',
      min: 1,
      default: 5_000_000,
      help: 'draws to train on, none twice',
    },
    directions: { kind: 'integer', value: 'N', min: 1, max: 65_536, default: 512, help: 'true directions' },
    'd-in': {
      kind: 'integer',
      value: 'N',
      min: 1,
      max: 65_536,
      default: 128,
      help: 'width of the activations',
    },
    'd-sae': {
      kind: 'integer',
      value: 'N',
      min: 1,
      max: 65_536,
      help: 'latents (default: as many as directions)',
    },
    l0: {
      kind: 'number',
      value: 'X',
      min: 0.01,
      max: 65_536,
      default: 5,
      help: 'directions that fire at a draw, on average',
    },
    frequencies: {
      kind: 'text',
      value: 'WORD',
      choices: ['equal', 'zipf'],
      default: 'equal',
      help: 'zipf: the i-th direction fires in proportion to 1/i',
    },
    structure: {
      kind: 'text',
      value: 'WORD',
      choices: ['independent', 'correlated', 'hierarchical'],
      default: 'independent',
      help: 'correlated: in groups of 8; hierarchical: 3 children fire only with their parent',
    },
    noise: {
      kind: 'number',
      value: 'X',
      min: 0,
      max: 1000,
      default: 0,
      help: 'standard deviation of normal noise',
    },
    threads: shared.threads,
  },
  spec: values => ({
    family: values.family,
    set: values.set ?? [],
    seed: values.seed,
    tokens: values.tokens,
    dSae: values['d-sae'] ?? values.directions,
    threads: values.threads,
    truth: {
      dIn: values['d-in'],
      directions: values.directions,
      l0: values.l0,
      frequencies: values.frequencies as GroundTruthOptions['frequencies'],
      structure: values.structure as GroundTruthOptions['structure'],
      noise: values.noise,
    },
  }),
  async job({ family, set, seed, tokens, dSae, threads, truth }, context) {
    const { runSynthetic, syntheticHook } = await import('@mistudio/training')
    const { members, settings } = await trainingSettings({
      family,
      hooks: [syntheticHook],
      hooksOut: [],
      dSae,
      set,
      sweep: [],
      run: { train_tokens: tokens, seed },
    })
    const out = mkdtempSync(join(tmpdir(), 'mistudio-synthetic-'))
    try {
      return await withWorkerPool({ threads }, async pool => {
        const [result] = await runSynthetic({
          pool,
          truth,
          members,
          run: { ...settings, trainTokens: tokens },
          seed,
          out: join(out, 'run'),
          stopped: context.signal.stopped,
          onEvent: event =>
            context.progress({
              stage: `training ${family}`,
              done: event.tokens,
              total: event.total_tokens,
              unit: 'tokens',
              figures: { fvu: event.saes[0]?.fvu ?? null },
            }),
        })
        if (result === undefined) throw new StoppedEarly('Stopped; nothing is kept of a synthetic training.')
        return result
      })
    } finally {
      rmSync(out, { recursive: true, force: true })
    }
  },
  present: ({ family, recovered, mmcs, precision, fvu, l0, alive, seconds }) =>
    pairs([
      ['family', family],
      ['recovered', percent(recovered)],
      ['mean maximum cosine', figure(mmcs)],
      ['precision', precision === null ? 'no latent is alive' : percent(precision)],
      ['fvu', figure(fvu)],
      ['l0', figure(l0)],
      ['alive', percent(alive)],
      ['time', duration(seconds)],
    ]),
})

// `mistudio sae finalise`: SAEs out of any checkpoint of a run, without training on.
import { existsSync } from 'node:fs'
import { InputError } from '@mistudio/files'
import { withWorkerPool } from '@mistudio/tensor'
import { defineCommand } from '../frame/command.ts'
import { writableFolder } from '../frame/data_folder.ts'
import { count, figure, table } from '../frame/output.ts'
import { shared } from './shared/options.ts'
import { shown } from './shared/trained.ts'
import { type TrainingOrigin, withTrainingSource } from './shared/training_source.ts'

export const saeFinalise = defineCommand({
  name: 'sae finalise',
  summary: 'save the SAEs of a checkpoint of a training',
  details:
    'A stopped run has a checkpoint, others keep theirs with --set keep_at_end=true (and keep_last, keep_best). The\n' +
    'threshold of BatchTopK SAEs is calibrated on the training tokens where model and datasets still lie where they did;\n' +
    'otherwise they keep the running threshold, and a note says so.',
  options: {
    run: { kind: 'path', value: 'DIR', required: true, help: 'folder of the run' },
    checkpoint: {
      kind: 'integer',
      value: 'STEP',
      min: 0,
      help: 'step of the checkpoint (default: the newest)',
    },
    out: { kind: 'path', value: 'DIR', help: 'where the SAEs are saved (default: RUN/finalised-STEP)' },
    threads: shared.threads,
  },
  spec: values => ({
    run: values.run,
    checkpoint: values.checkpoint,
    out: values.out === undefined ? undefined : writableFolder({ path: values.out, field: '--out' }),
    threads: values.threads,
  }),
  async job({ run, checkpoint, out, threads }, context) {
    const { finaliseCheckpoint, readCheckpoint } = await import('@mistudio/training')
    const origin = originOf(readCheckpoint({ out: run, step: checkpoint })?.state.origin)
    return await withWorkerPool({ threads }, async pool => {
      const options = { pool, run, step: checkpoint, into: out }
      const there = origin !== undefined && placesOf(origin).every(path => existsSync(path))
      const done = there
        ? await withTrainingSource({ pool, ...origin }, ({ activations }) =>
            finaliseCheckpoint({ ...options, activations }),
          )
        : await finaliseCheckpoint(options)
      if (done.saes.some(({ threshold }) => threshold !== null && threshold.calibrated === null)) {
        context.note('the threshold is the running one: it could not be calibrated on the training tokens')
      }
      if (done.saes.length === 0) {
        throw new InputError({
          message: 'no SAE trained at this checkpoint any more',
          file: run,
          field: 'checkpoint',
          found: String(done.step),
          expected: 'an earlier one; the SAEs that ended lie in the folder of the run',
        })
      }
      return { path: done.dir, step: done.step, saes: done.saes.map(sae => shown(sae, done.dir)) }
    })
  },
  present: ({ step, saes }) =>
    [
      `The SAEs of step ${count(step)}.`,
      '',
      table({
        head: ['SAE', 'family', 'd_sae', 'L0', 'FVU', 'saved to'],
        rows: saes.map(sae => [
          sae.name,
          sae.family,
          count(sae.d_sae),
          figure(sae.l0),
          figure(sae.fvu),
          String(sae.path),
        ]),
      }),
    ].join('\n'),
})

const placesOf = ({ models, datasets, cached }: TrainingOrigin): string[] => [
  ...models,
  ...datasets,
  ...(cached === null ? [] : [cached]),
]

/** What `sae train` stored; undefined where something else did. */
function originOf(stored: unknown): TrainingOrigin | undefined {
  const isTexts = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every(one => typeof one === 'string')
  if (typeof stored !== 'object' || stored === null) return undefined
  const { models, datasets, cached, hooks, weights, seed } = stored as Record<string, unknown>
  if (!isTexts(models) || !isTexts(datasets) || !isTexts(hooks) || typeof seed !== 'number') return undefined
  if (cached !== null && typeof cached !== 'string') return undefined
  const isWeights = Array.isArray(weights) && weights.every(one => typeof one === 'number')
  return { models, datasets, cached, hooks, seed, weights: isWeights ? (weights as number[]) : null }
}

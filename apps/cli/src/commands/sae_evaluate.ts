// `mistudio sae evaluate`: one report for any SAE on documents it was not trained on; several share a pass of the model.
import type { ProbedSae } from '@mistudio/evaluation'
import { defineCommand } from '../frame/command.ts'
import { writableFile } from '../frame/data_folder.ts'
import { count, pairs, table } from '../frame/output.ts'
import {
  evaluatedSae,
  evaluateFolders,
  evaluationOptions,
  evaluationSpec,
  measuredOn,
  metricText,
  scalarMetrics,
  writeSaebench,
} from './shared/evaluation.ts'
import { probedText, probeFolders, probingOptions, probingSpec } from './shared/probing.ts'

export const saeEvaluate = defineCommand({
  name: 'sae evaluate',
  summary: 'measure how well SAEs reconstruct, and what that does to the model',
  details:
    'FVU: squared error over the variance about the global mean. L0: mean latents firing a token. ΔCE: how many nats a\n' +
    'token the model gets worse with the reconstruction in place of the activation; the CE score puts that between the\n' +
    'activation set to zero (0) and untouched (1), and once more with the mean activation. KL: divergence of the\n' +
    'predictions from the untouched model’s. Position 0 and special tokens count in none of them and keep the model’s own\n' +
    'activation. Every definition: docs/metrics.md. --json prints the figures of one SAE, or {"saes": […]} of several.',
  options: {
    ...evaluationOptions,
    ...probingOptions,
    saebench: {
      kind: 'path',
      value: 'FILE.json',
      help: 'write a result file as SAEBench’s core evaluation has it (one a SAE)',
    },
  },
  spec: values => ({
    ...evaluationSpec(values),
    ...probingSpec(values),
    saebench: values.saebench && writableFile({ path: values.saebench, field: '--saebench' }),
  }),
  async job(spec, context) {
    let probed: ProbedSae[] | undefined
    const evaluated = await evaluateFolders({
      spec,
      context,
      async use(opened) {
        const { pool, model, result } = opened
        probed = await probeFolders({ spec, context, opened })
        if (spec.saebench === undefined) return
        await writeSaebench({ file: spec.saebench, evaluated: result, model: model.name, pool })
      },
    })
    return {
      saes: evaluated.saes.map((one, i) => ({ ...evaluatedSae(one, evaluated.dataset), ...probed?.[i] })),
    }
  },
  async present({ saes }) {
    const metrics = await scalarMetrics()
    const value = (sae: object, name: string) => (sae as Record<string, unknown>)[name]
    if (saes.length > 1) {
      const figures = table({
        head: ['metric', ...saes.map(({ name }) => name)],
        rows: metrics.map(([name, metric]) => [
          metric.label,
          ...saes.map(sae => metricText(metric, value(sae, name))),
        ]),
      })
      return [figures, ...saes.flatMap(probedText)].join('\n\n')
    }
    const [e] = saes
    const kind = e.k === undefined ? e.family : `${e.family}, k ${e.k}`
    const out = e.hook_out === undefined ? '' : ` → ${e.hook_out}`
    const figures = pairs([
      ['SAE', `${e.path} (${e.hook_point}${out}, ${count(e.d_sae)} latents, ${kind})`],
      ['measured on', measuredOn(e)],
      ...metrics.map(([name, metric]): [string, string] => [
        metric.label,
        metricText(metric, value(e, name)) + (metric.unit.includes('/') ? ` ${metric.unit}` : ''),
      ]),
    ])
    return [figures, ...probedText(e)].join('\n\n')
  },
  json: result => (result.saes.length === 1 ? result.saes[0] : result),
})

// Text of tokens with the strength of a feature at each.
import type { FeatureDetail, FeatureExample } from '@mistudio/contract'
import { formatFigure } from '../parts/format.ts'

/** 0 to 1: relative to the example's own maximum, so that every example shows where it is strongest. */
export function intensities(activations: readonly number[]): number[] {
  const most = Math.max(0, ...activations)
  return activations.map(value => (most > 0 && value > 0 ? value / most : 0))
}

/** A token as one sees it: line breaks and tabs get a sign, a token of nothing else can still be pointed at. */
export function shownToken(text: string): string {
  return text.replace(/\r?\n/g, '⏎\n').replace(/\t/g, '⇥\t')
}

/** Examples as plain text, the peak token in double angle brackets: to paste into a note or a prompt. */
export function examplesAsText(options: {
  feature: Pick<FeatureDetail, 'feature' | 'sae_name' | 'model_name' | 'hook_point'>
  examples: readonly FeatureExample[]
}): string {
  const { feature, examples } = options
  const head = `Feature ${feature.feature} of ${feature.sae_name} (${feature.model_name}, ${feature.hook_point})`
  const lines = examples.map(
    ({ kind, rank, peak_activation, token_texts, peak_index, dataset, document }) => {
      const text = token_texts.map((token, i) => (i === peak_index ? marked(token) : token)).join('')
      const oneLine = text.replace(/\s*\n\s*/g, ' ⏎ ')
      return `${kind} ${rank + 1}\t${formatFigure(peak_activation)}\t${dataset} #${document}\t${oneLine}`
    },
  )
  return [head, ...lines, ''].join('\n')
}

/** ` token` → ` «token»`: the space stays outside, where one reads it. */
function marked(token: string): string {
  const [, before, core, after] = /^(\s*)(.*?)(\s*)$/s.exec(token)!
  return `${before}«${core}»${after}`
}

// Tokens as text, with how strongly a feature fires on each.
import type { FeatureDetail, FeatureExample } from '@mistudio/contract'
import { formatFigure } from '../parts/format.ts'

/** 0 to 1, relative to the example's own maximum, so that every example shows where it is strongest. */
export function intensities(activations: readonly number[]): number[] {
  const most = Math.max(0, ...activations)
  return activations.map(value => (most > 0 && value > 0 ? value / most : 0))
}

/** A token made visible: line breaks and tabs get a symbol, so that a token of nothing else can still be hovered. */
export function shownToken(text: string): string {
  return text.replace(/\r?\n/g, '⏎\n').replace(/\t/g, '⇥\t')
}

/** Examples as plain text, the peak token in «guillemets», to paste into a note or a prompt. */
export function examplesAsText(options: {
  feature: Pick<FeatureDetail, 'feature' | 'sae_name' | 'model_name' | 'hook_point'>
  examples: readonly FeatureExample[]
}): string {
  const { feature, examples } = options
  const head = `Feature ${feature.feature} of ${feature.sae_name} (${feature.model_name}, ${feature.hook_point})`
  const lines = examples.map(
    ({ kind, rank, peak_activation, token_texts, peak_index, dataset, document }) => {
      const text = token_texts.map((token, i) => (i === peak_index ? marked(token) : token)).join('')
      return `${kind} ${rank + 1}\t${formatFigure(peak_activation)}\t${dataset} #${document}\t${oneLine(text)}`
    },
  )
  return [head, ...lines, ''].join('\n')
}

/** ` token` → ` «token»`: the space stays outside. */
function marked(token: string): string {
  const { before, core, after } = trimmed(token)
  return `${before}«${core}»${after}`
}

/** A token without the spaces around it, and those spaces. */
export function trimmed(token: string): { before: string; core: string; after: string } {
  const [, before, core, after] = /^(\s*)(.*?)(\s*)$/s.exec(token)!
  return { before, core, after }
}

/** Line breaks as ⏎. */
export const oneLine = (text: string) => text.replace(/\s*\n\s*/g, ' ⏎ ')

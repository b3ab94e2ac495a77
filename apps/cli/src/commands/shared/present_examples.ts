// Examples of a feature as lines of text: activation, context with the peak marked, dataset.
import type { Example } from '@mistudio/feature'
import { figure } from '../../frame/output.ts'

const defaultColumns = 120

/**
 * One line an example, as wide as the terminal, its peak in reverse video; elsewhere 120 columns and [[brackets]].
 */
export async function presentExamples(examples: readonly Example[]): Promise<string> {
  const { markPeak } = await import('@mistudio/feature')
  const { isTTY, columns = defaultColumns } = process.stdout
  const activations = examples.map(({ peak_activation }) => figure(peak_activation))
  const column = Math.max(...activations.map(text => text.length))
  const stores = Math.max(...examples.map(({ store }) => store.length))
  const width = Math.max(40, (isTTY ? columns : defaultColumns) - column - stores - 12)
  return examples
    .map((example, i) => {
      const text = markPeak({ example, style: isTTY ? 'ansi' : 'brackets', width })
      return `  ${activations[i].padStart(column)}  ${text}  (${example.store})`
    })
    .join('\n')
}

// `mistudio sae recipes`: named configurations of papers and tools, with what each sets.
import { defineCommand } from '../frame/command.ts'

export const saeRecipes = defineCommand({
  name: 'sae recipes',
  summary: 'list named configurations of papers and tools, with what each sets',
  details:
    'sae train --recipe NAME takes one; --set KEY=VALUE changes single settings on top of it. null leaves the choice to\n' +
    'the family (sae families).',
  options: {},
  spec: () => ({}),
  async job() {
    const { recipes } = await import('@mistudio/training')
    return recipes.map(({ name, family, source, sets }) => ({ name, family, source, sets }))
  },
  present: recipes =>
    recipes
      .map(({ name, family, source, sets }) =>
        [
          `${name}  (${family})`,
          `  from ${source}`,
          ...wrapped(Object.entries(sets).map(([key, value]) => `${key}=${shown(value)}`)),
        ].join('\n'),
      )
      .join('\n\n'),
})

const shown = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value))

/** Words in lines of at most 110 columns, indented. */
function wrapped(words: readonly string[]): string[] {
  const lines: string[] = []
  for (const word of words) {
    const line = lines.at(-1)
    if (line === undefined || line.length + word.length > 108) lines.push(`  ${word}`)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines
}

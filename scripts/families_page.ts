// docs/families.md, written from the tables that the engine itself reads: `node scripts/families_page.ts`. Formulas, settings,
// defaults and their sources cannot drift from what is trained. A test fails when the page is old.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  type Family,
  type Field,
  type FieldTable,
  families,
  memberFields,
  rangeText,
  recipes,
  wireName,
} from '@mistudio/training'

export const familiesPagePath = fileURLToPath(new URL('../docs/families.md', import.meta.url))

/** Markdown. */
export function familiesPage(): string {
  return [
    '# Families of SAEs',
    '',
    'Written by `scripts/families_page.ts` from the tables in `packages/training/src/families/`.',
    '',
    'x is a row of activations after the normalisation, d_i the i-th row of W_dec, H the step function, mean the mean over',
    "a batch's tokens. Squared errors are summed over dimensions. λ rises over `sparsity_warm_up_steps`. Settings are given",
    'as `--set NAME=VALUE`; `--recipe NAME` sets many at once (`mistudio sae recipes`).',
    '',
    ...families.flatMap(section),
    '## Settings of every SAE',
    '',
    ...fieldRows(memberFields),
    '',
    '## Recipes',
    '',
    '| recipe | family | source |',
    '| --- | --- | --- |',
    ...recipes.map(({ name, family, source }) => `| \`${name}\` | ${family} | ${cell(source)} |`),
    '',
  ].join('\n')
}

function section(family: Family): string[] {
  const { name, title, summary, paper, formula, fields, defaults } = family
  const changed = Object.entries(defaults).map(([key, value]) => `\`${wireName(key)}\` ${String(value)}`)
  return [
    `## ${title} (\`${name}\`)`,
    '',
    `${summary} ${hookText(family)}`,
    '',
    `${paper.title}, ${paper.where}.`,
    '',
    '```',
    ...formula,
    '```',
    '',
    ...fieldRows(fields),
    '',
    ...(changed.length === 0 ? [] : [`Of the settings of every SAE it changes: ${changed.join(', ')}.`, '']),
  ]
}

function hookText({ hooks }: Family): string {
  switch (hooks) {
    case 'one':
      return 'One hook point.'
    case 'in_out':
      return 'Two hook points: `--hook` is read, `--hook-out` predicted.'
    case 'several':
      return 'Two hook points or more, of one width, of one model or several.'
    case 'layers':
      return 'A hook point to read and one to predict for every layer, in order.'
  }
}

function fieldRows(fields: FieldTable): string[] {
  return [
    '| setting | default | values | what it does | source |',
    '| --- | --- | --- | --- | --- |',
    ...Object.entries(fields).map(([key, field]) =>
      [
        `| \`${wireName(key)}\``,
        cell(defaultText(field)),
        cell(valuesText(field)),
        cell(field.help),
        `${cell(field.source ?? '')} |`,
      ].join(' | '),
    ),
  ]
}

const cell = (text: string): string => text.replaceAll('|', '\\|')

function defaultText(field: Field): string {
  const { default: value, chosen = 'none', unit } = field
  if (value === null) return `(${chosen})`
  const text = typeof value === 'number' ? Number(value.toPrecision(6)).toString() : String(value)
  return unit === undefined ? text : `${text} ${unit}`
}

function valuesText(field: Field): string {
  switch (field.kind) {
    case 'integer':
    case 'number':
      return rangeText(field)
    case 'choice':
      return field.choices.join(', ')
    case 'flag':
      return 'true, false'
    case 'integers':
      return `whole numbers, each ${rangeText({ ...field, kind: 'integer' })}`
    case 'numbers':
      return `numbers, each ${rangeText({ ...field, kind: 'number' })}`
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(familiesPagePath, familiesPage())

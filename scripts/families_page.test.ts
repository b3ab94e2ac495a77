// docs/families.md is what the tables say.
import { readFileSync } from 'node:fs'
import { families, wireName } from '@mistudio/training'
import { expect, test } from 'vitest'
import { familiesPage, familiesPagePath } from './families_page.ts'

test('docs/families.md is what the tables of the families say', () => {
  expect(readFileSync(familiesPagePath, 'utf8')).toBe(familiesPage())
})

test('the page has a section, a formula and every setting of each family', () => {
  const page = familiesPage()
  for (const { title, name, formula, fields } of families) {
    expect(page).toContain(`## ${title} (\`${name}\`)`)
    expect(page).toContain(formula.join('\n'))
    for (const key of Object.keys(fields)) expect(page).toContain(`| \`${wireName(key)}\` |`)
  }
})

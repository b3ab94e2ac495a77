import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { metricsPage, metricsPagePath } from './metrics_page.ts'

test('docs/metrics.md is what the table of metrics says', () => {
  expect(readFileSync(metricsPagePath, 'utf8')).toBe(metricsPage())
})

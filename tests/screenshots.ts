// Pictures of every page of a studio with the demo project, wide and narrow, light and dark, for docs/screenshots.
//   node tests/screenshots.ts --data-dir DIR [--out docs/screenshots] [--only PAGE,PAGE]
// DIR: a studio's folder in which the demo is done; for pages of trainings alone its training is enough.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createClient } from '@mistudio/contract'
import { startStudio } from '@mistudio/studio'
import type { Page } from 'playwright-core'
import { ensureWeb } from '../scripts/web.js'
import { findChromium, openBrowser } from './browser.ts'

const { values } = parseArgs({
  options: {
    'data-dir': { type: 'string' },
    out: { type: 'string', default: 'docs/screenshots' },
    only: { type: 'string' },
  },
})
const chromium = findChromium()
if (values['data-dir'] === undefined || chromium === undefined)
  throw new Error('--data-dir and a Chromium are needed')
mkdirSync(values.out, { recursive: true })
await ensureWeb({ node: process.execPath })
const studio = await startStudio({ dataDir: values['data-dir'], port: 0, demo: false })
const client = createClient({ baseUrl: studio.url })
const training = (await client.listTrainings()).data.find(({ name }) => name === 'Demo')!
const extraction = (await client.listExtractions()).data.find(
  ({ hook_point }) => hook_point === 'blocks.4.hook_resid_post',
)
const query = { extraction_id: extraction?.id ?? '', search: 'while', limit: 1 }
const [feature] = extraction === undefined ? [] : (await client.listFeatures({ query })).data
const only = values.only?.split(',')

/** Something is chosen, so that the advice at the side has something to say. */
async function readyToStart(page: Page): Promise<void> {
  await page.getByLabel('scripture').check()
  await page.getByLabel('Layer 2', { exact: true }).check({ force: true })
  await page.getByTestId('advice-time').waitFor()
}

const pages: { name: string; path: string; ready: (page: Page) => Promise<unknown> }[] = [
  { name: 'home', path: '/', ready: page => page.getByText('Latest trainings').waitFor() },
  { name: 'datasets', path: '/datasets', ready: page => page.getByText('scripture').first().waitFor() },
  { name: 'models', path: '/models', ready: page => page.getByText('mistudio-demo').first().waitFor() },
  { name: 'trainings', path: '/trainings', ready: page => page.getByText('Demo').first().waitFor() },
  { name: 'training-new', path: '/trainings/new', ready: readyToStart },
  {
    name: 'training',
    path: `/trainings/${training.id}`,
    ready: page => page.getByText('FVU').first().waitFor(),
  },
  {
    name: 'import',
    path: `/trainings/${training.id}?dialog=import`,
    ready: page => page.getByText('already imported').first().waitFor(),
  },
  {
    name: 'saes',
    path: '/saes',
    ready: page => page.getByText('blocks.2.hook_resid_post').first().waitFor(),
  },
  { name: 'extractions', path: '/extractions', ready: page => page.getByText('4/4').first().waitFor() },
  {
    name: 'extraction-new',
    path: '/extractions/new',
    ready: page => page.getByLabel('Tokens to read').waitFor(),
  },
  {
    name: 'extraction',
    path: `/extractions/${extraction?.id}`,
    ready: page => page.getByRole('figure', { name: 'Speed' }).waitFor(),
  },
  {
    name: 'features',
    path: `/extractions/${extraction?.id}/features`,
    ready: page => page.getByTestId('feature-row').first().waitFor(),
  },
  {
    name: 'feature',
    path: `/features/${feature?.id}`,
    ready: page => page.getByTestId('example').first().waitFor(),
  },
  {
    name: 'templates',
    path: '/templates',
    ready: page => page.getByRole('heading', { name: 'Templates' }).waitFor(),
  },
]

const browser = await openBrowser(chromium)
for (const [size, viewport] of Object.entries({
  desktop: { width: 1280, height: 800 },
  narrow: { width: 390, height: 844 },
})) {
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ viewport, colorScheme })
    for (const { name, path, ready } of pages.filter(page => only?.includes(page.name) !== false)) {
      await page.goto(studio.url + path)
      await ready(page)
      // Charts are drawn a moment after their data.
      await page.waitForTimeout(700)
      const file = join(values.out, `${name}-${size}-${colorScheme}.jpg`)
      await page.screenshot({ path: file, type: 'jpeg', quality: 72 })
    }
    await page.close()
  }
}
await browser.close()
await studio.close()

// Screenshots of every page of the test server, wide and narrow, light and dark, in the folder given as the first
// argument. Reports pages that are wider than the screen, and errors in the browser. The second argument selects pages.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { featureIdOf } from '@mistudio/contract'
import type { Browser, Page } from 'playwright-core'
import { launch } from './browser.ts'
import { startTestServer } from './server.ts'
import { doneExtraction, runningExtraction, runningTraining, saes, trainings } from './world.ts'

const out = resolve(process.argv[2] ?? 'shots')
const only = process.argv[3]

type Shot = { name: string; path: string; act?: (page: Page) => Promise<unknown>; full?: boolean }

const shots: Shot[] = [
  { name: 'home', path: '/' },
  { name: 'datasets', path: '/datasets' },
  {
    name: 'datasets-upload',
    path: '/datasets',
    async act(page) {
      await page.getByRole('button', { name: 'Upload' }).first().click()
      const file = {
        name: 'notes.jsonl',
        mimeType: 'application/json',
        buffer: Buffer.from('{"txt": "a"}\n'),
      }
      await page.getByLabel('File').setInputFiles(file)
      await page.getByRole('dialog').getByRole('button', { name: 'Upload' }).click()
      await page.getByTestId('problem').waitFor()
    },
  },
  { name: 'models', path: '/models' },
  {
    name: 'models-add',
    path: '/models',
    act: page => page.getByRole('button', { name: 'Add from a folder' }).click(),
  },
  { name: 'trainings', path: '/trainings' },
  {
    name: 'training-new',
    path: '/trainings/new',
    full: true,
    async act(page) {
      for (const name of ['scripture', 'dictionary']) await page.getByLabel(name).check()
      for (const layer of [2, 4]) await page.getByLabel(`Layer ${layer}`).check()
      await page.getByLabel('mlp_out').check()
      await page.getByLabel('k', { exact: true }).fill('ten')
      await page.getByRole('button', { name: 'Start', exact: true }).click()
    },
  },
  {
    name: 'training-new-family',
    path: '/trainings/new',
    full: true,
    async act(page) {
      await page.getByLabel('scripture').check()
      await page.getByLabel('Recipe', { exact: true }).selectOption('anthropic_april_2024')
      for (const layer of [2, 4]) await page.getByLabel(`Layer ${layer}`).check()
      await page.getByLabel('Sparsity λ', { exact: true }).fill('9')
      await page.getByText('Optimiser').click()
      await page.getByLabel('Learning rate', { exact: true }).fill('1e-3')
      await page.getByRole('button', { name: 'Sweep a setting' }).click()
      await page.getByLabel('Setting', { exact: true }).selectOption('d_sae')
      await page.getByLabel('Values of d_sae').fill('1024, 2048')
      await page.getByRole('button', { name: 'What is Sparsity λ?' }).hover()
      await page.getByTestId('advice-time').waitFor()
    },
  },
  { name: 'training', path: `/trainings/${runningTraining.id}`, full: true },
  {
    name: 'training-stop',
    path: `/trainings/${runningTraining.id}`,
    act: page => page.getByRole('button', { name: 'Stop' }).click(),
  },
  { name: 'training-import', path: `/trainings/${trainings[2].id}?dialog=import` },
  { name: 'saes', path: '/saes' },
  { name: 'extractions', path: '/extractions' },
  {
    name: 'extraction-new',
    path: `/extractions/new?sae=${saes[0].id},${saes[1].id}`,
    act: page => page.getByLabel('scripture').check(),
  },
  {
    name: 'extraction-created',
    path: `/extractions/new?sae=${saes[0].id},${saes[1].id},${saes[4].id}`,
    async act(page) {
      await page.getByLabel('scripture').check()
      await page.getByRole('button', { name: 'Start a batch of 3' }).click()
      await page.getByTestId('extractions-created').waitFor()
    },
  },
  { name: 'extraction', path: `/extractions/${runningExtraction.id}`, full: true },
  { name: 'features', path: `/extractions/${doneExtraction.id}/features` },
  {
    name: 'features-filter',
    path: `/extractions/${doneExtraction.id}/features?search=light`,
    act: page => page.getByRole('button', { name: 'Filter' }).click(),
  },
  {
    name: 'feature',
    path: `/features/${featureIdOf({ extractionId: doneExtraction.id, feature: 17 })}`,
    full: true,
  },
  { name: 'templates', path: '/templates' },
  { name: 'missing', path: '/extractions/extr_zzzzzzzzzzzzzzzzzzzz' },
]

const screens = [
  { name: 'wide', width: 1280, height: 800 },
  { name: 'narrow', width: 400, height: 844 },
  { name: 'narrowest', width: 360, height: 740 },
] as const

const server = await startTestServer({ past: 48 })
const browser = await launch()
try {
  mkdirSync(out, { recursive: true })
  for (const screen of screens) {
    for (const colorScheme of ['light', 'dark'] as const) {
      if (screen.name === 'narrowest' && colorScheme === 'dark') continue
      for (const shot of shots) {
        if (only === undefined || shot.name.includes(only)) await take(browser, shot, screen, colorScheme)
      }
    }
  }
} finally {
  await browser.close()
  await server.close()
}

async function take(
  browser: Browser,
  shot: Shot,
  screen: (typeof screens)[number],
  colorScheme: 'light' | 'dark',
): Promise<void> {
  const label = `${shot.name}-${screen.name}-${colorScheme}`
  const { width, height } = screen
  const context = await browser.newContext({ viewport: { width, height }, colorScheme })
  const page = await context.newPage()
  page.on('pageerror', error => console.log(`${label}: ${error.message}`))
  page.on('console', message => {
    // Some shots show a refused request.
    const expected = message.text().includes('the server responded with a status of 4')
    if (message.type() === 'error' && !expected) console.log(`${label}: ${message.text()}`)
  })
  await page.goto(server.url + shot.path)
  await page.waitForTimeout(600)
  await shot.act?.(page)
  await page.waitForTimeout(350)
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  if (wider > 0) console.log(`${label}: ${wider} pixels wider than the screen`)
  if (screen.name !== 'narrowest') {
    await page.screenshot({ path: join(out, `${label}.png`), fullPage: shot.full ?? false })
  }
  await context.close()
}

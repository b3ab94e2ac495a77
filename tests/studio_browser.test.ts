// The studio in a browser, as a person uses it: a real server, real jobs in processes of their own, a real Chromium.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, extractionTemplateName, type StudioEvent } from '@mistudio/contract'
import { type Studio, startStudio } from '@mistudio/studio'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureWeb } from '../scripts/web.js'
import { findChromium, openBrowser } from './browser.ts'
import { recordedEvents } from './studio_kill_loop.ts'

const chromium = findChromium()
if (chromium === undefined && process.env.CI !== undefined)
  throw new Error('there is no Chromium: install one')
const minute = 60_000

describe.skipIf(chromium === undefined)('the studio in a browser (needs a browser: Chromium)', () => {
  let dataDir: string
  let studio: Studio
  let browser: Browser
  let page: Page
  const faults: string[] = []

  beforeAll(async () => {
    await ensureWeb({ node: process.execPath })
    dataDir = mkdtempSync(join(tmpdir(), 'mistudio-browser-'))
    browser = await openBrowser(chromium!)
    page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
    page.on('pageerror', error => faults.push(error.message))
    // The demo begins last: what a person watches must not be over before the browser is there.
    const demo = { dSae: 128, k: 8, trainTokens: 24_576, maxTokens: 8192, documents: 60 }
    studio = await startStudio({ dataDir, port: 0, demo })
  }, 2 * minute)
  afterAll(async () => {
    await browser?.close()
    await studio?.close()
    rmSync(dataDir, { recursive: true, force: true })
  })

  const client = () => createClient({ baseUrl: studio.url })
  const go = (path: string) => page.goto(`${studio.url}${path}`)
  const idOf = (url: string) => url.split('/').at(-1)!.split('?')[0]
  /** Waits until a status badge says so; states pass by quickly. */
  const says = (where: Page | Locator, status: string, timeout = 2 * minute) =>
    where.getByTestId('status').getByText(status, { exact: true }).first().waitFor({ timeout })

  test(
    'the demo project trains and extracts while a person watches',
    async () => {
      await go('/')
      await page.getByTestId('job').filter({ hasText: 'Train Demo' }).waitFor({ timeout: minute })
      await page.goto(`${studio.url}/trainings`)
      await page.getByRole('link', { name: 'Demo', exact: true }).click()
      await page.getByRole('heading', { name: 'Demo' }).waitFor()
      await says(page, 'running', minute)
      await says(page, 'completed')
      const { data: trainings } = await client().listTrainings()
      const fvu = trainings[0].saes[0].fvu!
      expect(fvu).toBeGreaterThan(0)
      await page
        .getByRole('row')
        .filter({ hasText: 'blocks.2.hook_resid_post' })
        .getByText(fvu.toPrecision(4))
        .waitFor()
      await go('/extractions')
      const last = page.getByRole('row').filter({ hasText: '4/4' })
      await says(last, 'COMPLETED', 3 * minute)
      for (const place of ['1/4', '2/4', '3/4'])
        await says(page.getByRole('row').filter({ hasText: place }), 'COMPLETED')
      const { data: jobs } = await client().listJobs({ query: { active: 'true' } })
      expect(jobs).toEqual([])
    },
    6 * minute,
  )

  let trainingId = ''
  test(
    'starts a training on two datasets, two layers and two hooks',
    async () => {
      await go('/trainings/new')
      for (const name of ['scripture', 'dictionary']) await page.getByLabel(name).check()
      for (const layer of [0, 1])
        await page.getByLabel(`Layer ${layer}`, { exact: true }).check({ force: true })
      for (const hook of ['resid_post', 'mlp_out']) await page.getByLabel(hook).check()
      for (const [label, value] of [
        ['Latents (d_sae)', '256'],
        ['k', '8'],
        ['Training tokens', '24576'],
      ]) {
        await page.getByLabel(label, { exact: true }).fill(value)
      }
      expect(await page.getByTestId('sae-count').textContent()).toContain('4')
      await page.getByRole('button', { name: /^Start/ }).click()
      await page.waitForURL(/\/trainings\/train_/)
      trainingId = idOf(page.url())
      await says(page, 'running')
      for (const hook of ['resid_post', 'mlp_out'])
        await page.getByText(hook, { exact: true }).first().waitFor()
      await says(page, 'completed')
      const training = await client().getTraining({ params: { id: trainingId } })
      expect(training.dataset_names).toEqual(['scripture', 'dictionary'])
      expect(training.saes.map(({ hook_point }) => hook_point).sort()).toEqual([
        'blocks.0.hook_mlp_out',
        'blocks.0.hook_resid_post',
        'blocks.1.hook_mlp_out',
        'blocks.1.hook_resid_post',
      ])
    },
    4 * minute,
  )

  test(
    'imports all four SAEs at once, and shows them disabled the second time',
    async () => {
      await page.getByRole('button', { name: 'Import SAEs' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByRole('button', { name: 'Import 4 SAEs' }).click()
      await dialog.getByTestId('import-result').getByText('4 SAEs imported.').waitFor()
      await dialog.getByRole('button', { name: 'Close' }).last().click()
      await page.getByRole('button', { name: 'Import SAEs' }).click()
      await dialog.getByRole('button', { name: 'All are imported' }).waitFor()
      expect(await dialog.getByRole('button', { name: 'All are imported' }).isDisabled()).toBe(true)
      const boxes = await dialog.getByRole('checkbox').all()
      expect(await Promise.all(boxes.map(box => box.isDisabled()))).toEqual([true, true, true, true])
      expect(await dialog.getByText('already imported').count()).toBe(4)
      const { data } = await client().listSaes({ query: { training_id: trainingId } })
      expect(data.length).toBe(4)
    },
    minute,
  )

  let extractionIds: string[] = []
  test(
    'starts a batch of three with NLP from a dialog that is saved as a template',
    async () => {
      const { data: saes } = await client().listSaes({ query: { training_id: trainingId } })
      const chosen = saes.slice(0, 3).map(({ id }) => id)
      await go('/extractions/new')
      const dialog = page.getByRole('dialog')
      for (const { name } of saes.slice(0, 3)) await dialog.getByLabel(name).check()
      expect(await dialog.getByTestId('saes-chosen').textContent()).toBe('3 chosen')
      await dialog.getByLabel('programming').check()
      await dialog.getByLabel('Tokens to read').fill('40000')
      await dialog.getByLabel('Examples per feature').fill('7')
      expect(await dialog.getByLabel('NLP analysis').isChecked()).toBe(true)
      await dialog.getByRole('button', { name: 'Save as Template' }).click()
      await dialog.getByTestId('template-saved').waitFor()
      const [template] = (await client().listTemplates({ params: { kind: 'extraction' } })).data
      expect(template.name).toBe(extractionTemplateName(template.config))
      expect(template.name).toContain('40K tokens, 7 examples')
      expect(JSON.stringify(template.extra_metadata)).toContain('resid_post')
      await dialog.getByRole('button', { name: 'Start a batch of 3' }).click()
      const created = page.getByTestId('extractions-created')
      await created.waitFor()
      expect(await created.getByTestId('batch-position').allInnerTexts()).toEqual(['1/3', '2/3', '3/3'])
      const { data } = await client().listExtractions({ query: { limit: 3 } })
      extractionIds = data.sort((a, b) => a.batch_position! - b.batch_position!).map(({ id }) => id)
      expect(data.map(({ sae_id }) => sae_id)).toEqual(chosen)
    },
    minute,
  )

  const titles = { collected: 'Examples Collected', rate: 'Collection Rate', speed: 'Speed' } as const
  type Shown = { seq: number; at: string; value: number | null }
  const pointsOf = async (title: string): Promise<Shown[]> =>
    JSON.parse((await page.getByRole('figure', { name: title }).getAttribute('data-points'))!) as Shown[]

  /** What the graphs must show of these events: each point is one event with its own figures. */
  function expected(events: StudioEvent[]) {
    const measured = events.flatMap(event =>
      event.event === 'extraction:progress' || event.event === 'extraction:completed' ? [event] : [],
    )
    return measured.map(({ seq, at, data }, i) => {
      const before = measured[i - 1]
      const seconds = i === 0 ? 0 : (Date.parse(at) - Date.parse(before.at)) / 1000
      const grown = i === 0 ? 0 : data.heap_examples_count - before.data.heap_examples_count
      return {
        seq,
        collected: data.heap_examples_count,
        rate: seconds > 0 && grown >= 0 ? grown / seconds : null,
        speed: data.samples_per_second,
      }
    })
  }

  test(
    'the states of a batch move, its graphs are the recorded events, and a reload leaves no gap',
    async () => {
      const [first] = extractionIds
      await go(`/extractions/${first}`)
      for (const title of Object.values(titles)) await page.getByRole('figure', { name: title }).waitFor()
      const stateOf = (status: string) =>
        page
          .getByTestId('status')
          .first()
          .and(page.getByText(status, { exact: true }))
          .waitFor()
      await stateOf('EXTRACTING')
      await page.waitForFunction(
        title =>
          JSON.parse(document.querySelector(`figure[aria-label="${title}"]`)!.getAttribute('data-points')!)
            .length > 2,
        titles.collected,
      )
      await page.reload()
      await page.getByRole('figure', { name: titles.speed }).waitFor()
      await stateOf('NLP_ANALYSIS')
      await stateOf('COMPLETED')
      const events = await recordedEvents(
        studio.url,
        `extraction/${first}`,
        event => event.event === 'extraction:status' && event.data.stage === 'COMPLETED',
      )
      const wanted = expected(events)
      expect(wanted.length).toBeGreaterThan(3)
      for (const [kind, title] of Object.entries(titles) as [keyof typeof titles, string][]) {
        const shown = await pointsOf(title)
        expect(shown.map(({ seq, value }) => ({ seq, value }))).toEqual(
          wanted.map(point => ({ seq: point.seq, value: point[kind] })),
        )
      }
    },
    4 * minute,
  )

  test(
    'the members of a batch run one after the other',
    async () => {
      await go('/extractions')
      for (const place of ['1/3', '2/3', '3/3']) {
        await says(page.getByRole('row').filter({ hasText: place }), 'COMPLETED', 3 * minute)
      }
      const all = await Promise.all(extractionIds.map(id => client().getExtraction({ params: { id } })))
      for (const [i, { stage, nlp_status, features_alive, batch_position }] of all.entries()) {
        expect({ stage, nlp_status, batch_position }).toEqual({
          stage: 'COMPLETED',
          nlp_status: 'completed',
          batch_position: i + 1,
        })
        expect(features_alive).toBeGreaterThan(0)
      }
      // Each began after the analysis of the one before had ended.
      for (const [i, { id }] of all.slice(1).entries()) {
        const before = await recordedEvents(
          studio.url,
          `extraction/${all[i].id}`,
          event => event.event === 'extraction:status' && event.data.stage === 'COMPLETED',
        )
        const after = await recordedEvents(
          studio.url,
          `extraction/${id}`,
          event => event.event === 'extraction:status' && event.data.stage === 'EXTRACTING',
        )
        expect(Date.parse(after.at(-1)!.at)).toBeGreaterThanOrEqual(Date.parse(before.at(-1)!.at))
      }
    },
    6 * minute,
  )

  test(
    'starts from a template',
    async () => {
      await go('/templates')
      await page.getByRole('link', { name: /^Start from/ }).click()
      const dialog = page.getByRole('dialog')
      expect(await dialog.getByLabel('Tokens to read').inputValue()).toBe('40000')
      expect(await dialog.getByLabel('Examples per feature').inputValue()).toBe('7')
      const { data: saes } = await client().listSaes({ query: { training_id: trainingId } })
      await dialog.getByLabel(saes[3].name).check()
      await dialog.getByLabel('databases').check()
      await dialog.getByRole('button', { name: 'Start extraction' }).click()
      await page.getByTestId('extractions-created').waitFor()
      const [extraction] = (await client().listExtractions({ query: { limit: 1 } })).data
      expect(extraction.config).toMatchObject({ max_tokens: 40_000, examples_per_feature: 7 })
      await client().cancelExtraction({ params: { id: extraction.id } })
    },
    minute,
  )

  test(
    'searches features and opens one by its URL in a new tab',
    async () => {
      const [id] = extractionIds
      await go(`/extractions/${id}/features`)
      await page.getByTestId('feature-row').first().waitFor()
      const before = await page.getByTestId('features-total').textContent()
      await page.getByLabel('Search features').fill('python')
      await page.waitForURL(/search=/)
      await expect
        .poll(() => page.getByTestId('features-total').textContent(), { timeout: 10_000 })
        .not.toBe(before)
      const { data } = await client().listFeatures({ query: { extraction_id: id, search: 'python' } })
      expect(data.length).toBeGreaterThan(0)
      const [best] = data
      await page.locator(`[data-feature="${best.feature}"]`).waitFor()
      const tab = await browser.newPage()
      try {
        await tab.goto(`${studio.url}/features/${best.id}`)
        await tab.getByRole('heading', { name: `Feature ${best.feature}` }).waitFor()
        const detail = await client().getFeature({ params: { id: best.id } })
        expect(await tab.getByTestId('example').count()).toBe(
          detail.examples.filter(({ kind }) => kind === 'top').length,
        )
        await tab.getByText(detail.nlp!.summary).waitFor()
      } finally {
        await tab.close()
      }
    },
    minute,
  )

  test(
    'starts a training of another family from a recipe, with variants, and sees its frontier',
    async () => {
      await go('/trainings/new')
      await page.getByLabel('scripture').check()
      await page.getByLabel('Recipe', { exact: true }).selectOption('anthropic_april_2024')
      const lambda = page.getByLabel('Sparsity λ', { exact: true })
      expect(await lambda.inputValue()).toBe('5')
      await lambda.fill('2')
      await page.getByTestId('changed-sparsity_coefficient').waitFor()
      await page.getByRole('button', { name: 'What is Sparsity λ?' }).focus()
      await page.keyboard.press('Enter')
      await page.getByText('Source:').first().waitFor()
      await page.getByLabel('Layer 1', { exact: true }).check({ force: true })
      await page.getByLabel('Latents (d_sae)', { exact: true }).fill('256')
      await page.getByLabel('Training tokens', { exact: true }).fill('16384')
      await page.getByRole('button', { name: 'Sweep a setting' }).click()
      await page.getByLabel('Values of sparsity_coefficient').fill('0.5, 2')
      expect(await page.getByTestId('sae-count').textContent()).toContain('2 SAEs')
      await page.getByTestId('advice-time').waitFor({ timeout: minute })
      await page.getByRole('button', { name: /^Start/ }).click()
      await page.waitForURL(/\/trainings\/train_/)
      const id = idOf(page.url())
      await says(page, 'completed')
      const training = await client().getTraining({ params: { id } })
      expect(training.hyperparameters).toMatchObject({ family: 'standard', recipe: 'anthropic_april_2024' })
      expect(training.saes.map(({ variant, status }) => [variant, status])).toEqual([
        [{ sparsity_coefficient: 0.5 }, 'completed'],
        [{ sparsity_coefficient: 2 }, 'completed'],
      ])
      await page.getByTestId('frontier').waitFor()
      await page.getByTestId('measured-sparsity').waitFor()
      await page.getByRole('figure', { name: 'Latent density' }).waitFor()
      await client().deleteTraining({ params: { id } })
    },
    4 * minute,
  )

  test(
    'pages show names, never ids',
    async () => {
      const [extraction] = extractionIds
      const paths = [
        '/',
        '/datasets',
        '/models',
        '/trainings',
        `/trainings/${trainingId}`,
        '/saes',
        '/extractions',
      ]
      paths.push(`/extractions/${extraction}`, `/extractions/${extraction}/features`, '/templates')
      // Side by side: a page is quiet only half a second after its last request.
      const tabs = paths.map(async path => {
        const tab = await browser.newPage({ viewport: { width: 1280, height: 800 } })
        tab.on('pageerror', error => faults.push(error.message))
        await tab.goto(`${studio.url}${path}`)
        await tab.getByRole('heading', { level: 1 }).waitFor()
        await tab.waitForLoadState('networkidle')
        const text = (await tab.locator('main').textContent()) ?? ''
        await tab.close()
        expect(text.length, path).toBeGreaterThan(50)
        expect(text.match(/\b(ds|tok|m|train|sae|extr|feat|batch|tpl|job)_[0-9a-z]{20}/), path).toBeNull()
      })
      await Promise.all(tabs)
    },
    minute,
  )

  test(
    'a page survives the loss of its server and says so',
    async () => {
      await go('/')
      await page.getByRole('heading', { name: 'Home' }).waitFor()
      const port = Number(new URL(studio.url).port)
      await studio.close()
      await page.getByTestId('connection').waitFor({ timeout: minute })
      studio = await startStudio({ dataDir, port, demo: false })
      await page.getByTestId('connection').waitFor({ state: 'detached', timeout: minute })
      await page.getByRole('link', { name: 'Trainings' }).first().click()
      await page.getByRole('link', { name: 'Demo', exact: true }).waitFor()
    },
    2 * minute,
  )

  test('no page has thrown', () => {
    expect(faults).toEqual([])
  })
})

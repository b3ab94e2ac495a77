// How much JavaScript a first visit loads: for every page, the gzipped size of the scripts that a browser with an empty
// cache requests. Needs a built bundle.

import { gzipSync } from 'node:zlib'
import { featureIdOf } from '@mistudio/contract'
import { launch } from './browser.ts'
import { startTestServer } from './server.ts'
import { doneExtraction, runningTraining } from './world.ts'

const paths = [
  '/',
  '/datasets',
  '/trainings/new',
  `/trainings/${runningTraining.id}`,
  '/saes',
  '/extractions/new',
  `/extractions/${doneExtraction.id}`,
  `/extractions/${doneExtraction.id}/features`,
  `/features/${featureIdOf({ extractionId: doneExtraction.id, feature: 1 })}`,
]

const server = await startTestServer()
const browser = await launch()
try {
  for (const path of paths) {
    const context = await browser.newContext()
    const page = await context.newPage()
    const scripts: Promise<Buffer>[] = []
    page.on('response', response => {
      if (response.url().endsWith('.js')) scripts.push(response.body())
    })
    await page.goto(server.url + path)
    await page.waitForLoadState('networkidle')
    const bytes = (await Promise.all(scripts)).reduce((sum, script) => sum + gzipSync(script).length, 0)
    console.log(`${(bytes / 1000).toFixed(1).padStart(7)} kB  ${scripts.length} scripts  ${path}`)
    await context.close()
  }
} finally {
  await browser.close()
  await server.close()
}

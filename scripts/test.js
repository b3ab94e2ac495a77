// `npm test`: the whole suite on the right Node. The last line is `N passed, N failed`; what failed to load, an
// error outside a test, and a test skipped for any reason but a missing GPU are failures. Arguments go to vitest.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstalled, ensureNode, reportAndExit, root, runChild } from './bootstrap.js'
import { summarise } from './test-summary.js'

async function main() {
  ensureInstalled()
  const { path: node } = ensureNode()
  process.chdir(root)
  const folder = mkdtempSync(join(tmpdir(), 'mistudio-test-'))
  const report = join(folder, 'report.json')
  const args = [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ]
  const code = await runChild({ node, args: [join(root, 'node_modules/vitest/vitest.mjs'), ...args] })
  const { passed, failed, problems } = summarise({ report: readReport(report), code })
  rmSync(folder, { recursive: true, force: true })
  for (const problem of problems) console.log(problem)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

main().catch(reportAndExit)

// `npm test`: the whole suite on the right Node. The last line is `N passed, N failed`; what failed to load, an
// error outside a test, and a test skipped without a good reason are failures: a missing GPU is one, a missing browser
// or Postgres only where MISTUDIO_STRICT is not 1, which .ci/run sets. Arguments go to vitest.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepare, reportAndExit, root, runChild } from './bootstrap.js'
import { summarise } from './test-summary.js'

async function main() {
  const { path: node } = prepare()
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
  const strict = process.env.MISTUDIO_STRICT === '1'
  const { passed, failed, problems, skipped } = summarise({ report: readReport(report), code, strict })
  rmSync(folder, { recursive: true, force: true })
  for (const problem of problems) console.log(problem)
  for (const name of skipped) console.log(`not tested on this machine: ${name}`)
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

// Counts a test run from vitest's JSON report. Apart from scripts/test.js so that it can be tested.

/** A test that is skipped must say in its name, or in that of its group, what it needs. */
const always = /needs a GPU/
/** What a machine without them need not have; .ci/run installs them and allows no such skip. */
const elsewhere = /needs (a browser|Postgres)/

/**
 * @param {{ report: object | undefined, code: number, strict?: boolean }} options vitest's JSON report (undefined:
 *   none was written) and its exit code; strict: only a missing GPU excuses a skipped test
 * @returns {{ passed: number, failed: number, problems: string[], skipped: string[] }} `problems` names the failures
 *   that vitest itself does not list as failed tests
 */
export function summarise({ report, code, strict = false }) {
  let passed = 0
  let failed = 0
  const problems = []
  const skipped = []
  const fail = problem => {
    failed += 1
    problems.push(problem)
  }
  for (const file of report?.testResults ?? []) {
    let failedHere = 0
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1
      else if (test.status === 'failed') failedHere += 1
      else if (always.test(test.fullName) || (!strict && elsewhere.test(test.fullName)))
        skipped.push(test.fullName)
      else fail(`skipped without a reason: ${file.name}: ${test.fullName}`)
    }
    failed += failedHere
    if (file.status === 'failed' && failedHere === 0) fail(`the file failed: ${file.name}: ${file.message}`)
  }
  if (report === undefined) fail(`the test run left no report (exit code ${code})`)
  else if (passed === 0 && failed === 0) fail('no test ran')
  else if (code !== 0 && failed === 0)
    fail(`the test run ended with code ${code}: an error outside the tests`)
  return { passed, failed, problems, skipped }
}

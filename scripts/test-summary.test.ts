// What counts as a failure of the test run: everything but a passed test and a test that needs a GPU.
import { describe, expect, it } from 'vitest'
import { summarise } from './test-summary.js'

type Result = { status: string; fullName: string }
const file = (assertionResults: Result[], status = 'passed') => ({
  name: 'a.test.ts',
  message: 'it broke',
  status,
  assertionResults,
})
const passed = { status: 'passed', fullName: 'adds' }

describe('summarise', () => {
  it('counts passed and failed tests', () => {
    const failed = { status: 'failed', fullName: 'subtracts' }
    const report = { testResults: [file([passed, failed, passed], 'failed'), file([passed])] }
    expect(summarise({ report, code: 1 })).toEqual({ passed: 3, failed: 1, problems: [], skipped: [] })
  })

  it('takes a skipped test as a failure, unless it needs a GPU', () => {
    const report = {
      testResults: [
        file([
          passed,
          { status: 'skipped', fullName: 'cuda (needs a GPU) adds' },
          { status: 'skipped', fullName: 'is slow' },
          { status: 'todo', fullName: 'later' },
        ]),
      ],
    }
    const summary = summarise({ report, code: 0 })
    expect(summary).toMatchObject({ passed: 1, failed: 2 })
    expect(summary.problems.join('\n')).toMatch(/is slow[\s\S]*later/)
  })

  it('excuses a missing browser or Postgres, and says so, unless it is strict', () => {
    const skipped = { status: 'skipped', fullName: 'pages (needs a browser: Chromium) open' }
    const report = { testResults: [file([passed, skipped])] }
    expect(summarise({ report, code: 0 })).toMatchObject({ failed: 0, skipped: [skipped.fullName] })
    expect(summarise({ report, code: 0, strict: true })).toMatchObject({ failed: 1, skipped: [] })
  })

  it('counts a file that did not load', () => {
    const report = { testResults: [file([], 'failed'), file([passed])] }
    const summary = summarise({ report, code: 1 })
    expect(summary).toMatchObject({ passed: 1, failed: 1 })
    expect(summary.problems[0]).toContain('it broke')
  })

  it('fails a run without a report, without tests, or with an error outside the tests', () => {
    expect(summarise({ report: undefined, code: 139 })).toMatchObject({ passed: 0, failed: 1 })
    expect(summarise({ report: { testResults: [] }, code: 0 })).toMatchObject({ passed: 0, failed: 1 })
    const report = { testResults: [file([passed])] }
    expect(summarise({ report, code: 1 })).toMatchObject({ passed: 1, failed: 1 })
    expect(summarise({ report, code: 0 })).toMatchObject({ passed: 1, failed: 0 })
  })
})

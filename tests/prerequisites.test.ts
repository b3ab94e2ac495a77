// What this machine lacks for the whole suite, said as a skipped test: scripts/test-summary.js decides whether that will do.
import { expect, test } from 'vitest'
import { hasPostgres } from '../apps/studio/testing/db/databases.ts'

test.skipIf(!hasPostgres())('the tests of the studio run on a real Postgres as well (needs Postgres)', () => {
  expect(hasPostgres()).toBe(true)
})

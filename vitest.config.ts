// The test suite: tests lie beside what they test, those that cross rooms in tests/.
// Forks, not threads: tests start workers of their own, and a crash in native code ends one file, not the run.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: [
      'packages/*/{src,testing}/**/*.test.ts',
      'apps/*/{src,testing}/**/*.test.ts',
      'tests/**/*.test.ts',
      'scripts/*.test.ts',
    ],
    globalSetup: ['apps/studio/testing/db/shared.ts'],
    pool: 'forks',
    maxWorkers: 2,
    fileParallelism: true,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})

// The test suite: tests lie beside what they test, those that cross rooms in tests/.
// Forks, not threads: tests start workers of their own, and a crash in native code ends one file, not the run.
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Half of a short process is compiling the same sources again: every Node that a test starts keeps what it compiled.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('.cache/tests/compiled', import.meta.url))

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

// Three seeded kills of a real studio and its runners; bench/studio_kills.ts does twenty of each kind.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { studioKillLoop } from './studio_kill_loop.ts'

let dataDir: string
beforeAll(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'mistudio-studio-kills-'))
})
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

test('a studio or a runner killed at any moment: all ends right, nothing twice, nothing lost', async () => {
  const plan = [
    { scenario: 'training', victim: 'server' },
    { scenario: 'batch', victim: 'server' },
    { scenario: 'batch', victim: 'runner' },
  ] as const
  const kills = await studioKillLoop({
    dataDir,
    modelDir: fileURLToPath(new URL('../assets/demo/model', import.meta.url)),
    plan,
    seed: 3,
    sizes: { words: 6000, dSae: 256, trainTokens: 8000, batchSize: 256, contextSize: 32, maxTokens: 4000 },
  })
  expect(kills.length).toBe(plan.length)
})

// JumpReLU on ground truth, where other tools' thresholds froze (SAELens #494, #718 to #720): more pressure means fewer active
// latents, the quadratic form reaches its target L0, and thresholds move.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSae } from '@mistudio/sae'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Settings } from '../fields.ts'
import { defaultGroundTruth } from './ground_truth.ts'
import { runSynthetic, type SyntheticResult } from './run.ts'

const truth = { ...defaultGroundTruth, dIn: 32, directions: 64, l0: 4 }
const initialThreshold = 0.1

describe('JumpReLU on ground truth', () => {
  let pool: WorkerPool
  let folder: string
  let results: Map<string, SyntheticResult>
  const coefficients = [0.02, 0.1, 0.4, 1.6]
  const targets = [4, 8]
  const settings = new Map<string, Settings>([
    ...coefficients.map((sparsity_coefficient): [string, Settings] => [
      `lambda ${sparsity_coefficient}`,
      { sparsity_loss: 'l0', sparsity_coefficient },
    ]),
    ...targets.map((target_l0): [string, Settings] => [
      `target ${target_l0}`,
      { sparsity_loss: 'target_l0', target_l0, sparsity_coefficient: 50 },
    ]),
  ])
  beforeAll(async () => {
    pool = await openWorkerPool({ count: 2 })
    folder = mkdtempSync(join(tmpdir(), 'mistudio-jumprelu-'))
    const members = [...settings].map(([name, own]) => ({
      name,
      family: 'jumprelu',
      dSae: 64,
      settings: {
        learning_rate: 3e-3,
        warm_up_steps: 20,
        initial_threshold: initialThreshold,
        ste_to_input: false,
        ...own,
      },
    }))
    const found = await runSynthetic({
      pool,
      truth,
      members,
      run: { trainTokens: 150_000, batchSize: 256, windowTokens: 16_384 },
      seed: 1,
      out: join(folder, 'run'),
      heldOutTokens: 16_384,
    })
    results = new Map(members.map(({ name }, i) => [name, found[i]]))
  }, 60_000)
  afterAll(async () => {
    rmSync(folder, { recursive: true })
    await pool.close()
  })

  test('has fewer active latents the greater λ is', () => {
    const l0s = coefficients.map(coefficient => results.get(`lambda ${coefficient}`)!.l0)
    for (let i = 1; i < l0s.length; i++) expect(l0s[i]).toBeLessThan(l0s[i - 1])
    expect(l0s[0]).toBeGreaterThan(1.5 * l0s.at(-1)!)
  })

  test.each(targets)('reaches a target L0 of %d on held-out draws, but for a twentieth', target => {
    const { l0 } = results.get(`target ${target}`)!
    expect(Math.abs(l0 / target - 1)).toBeLessThan(0.05)
  })

  test('moves its thresholds, each its own way', () => {
    for (const name of settings.keys()) {
      const { threshold } = loadSae({ dir: join(folder, 'run', name) }).weights
      const moved = Array.from(threshold!, theta => Math.abs(theta - initialThreshold))
      expect(Math.min(...moved)).toBeGreaterThan(0)
      expect(moved.filter(by => by > 0.02).length).toBeGreaterThan(32)
      expect(new Set(threshold).size).toBeGreaterThan(60)
    }
  })
})

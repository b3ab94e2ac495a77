// The frontier of runs and its chart against a golden file; UPDATE_GOLDEN=1 rewrites it.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type FrontierRun, onFrontier } from './frontier.ts'
import { frontierSvg } from './frontier_svg.ts'

const golden = fileURLToPath(new URL('../fixtures/frontier.svg', import.meta.url))

const run = (
  family: string,
  l0: number | null,
  fvu: number | null,
  delta_ce: number | null,
): FrontierRun => ({
  name: `${family}-${l0}`,
  family,
  l0,
  fvu,
  delta_ce,
})
const runs = [
  run('topk', 16, 0.35, 0.4),
  run('topk', 32, 0.27, 0.22),
  run('topk', 64, 0.2, 0.1),
  run('batchtopk', 16.1, 0.33, 0.36),
  run('batchtopk', 31.8, 0.28, 0.25),
  run('batchtopk', 64, 0.19, -0.02),
  run('jumprelu <&>', 20, 0.34, null),
  run('jumprelu <&>', 90, 0.21, 0.12),
]

test('a run is on the frontier when none is as sparse and as good', () => {
  expect(onFrontier(runs, 'fvu')).toEqual([true, true, false, true, true, true, false, false])
  // A run without a figure is not on it.
  expect(onFrontier(runs, 'delta_ce')[6]).toBe(false)
  expect(onFrontier([run('a', null, 0.1, 0.1), run('a', 5, Number.NaN, 0.1)], 'fvu')).toEqual([false, false])
  // Equal runs do not exclude each other.
  expect(onFrontier([run('a', 5, 0.1, 0), run('b', 5, 0.1, 0)], 'fvu')).toEqual([true, true])
})

test('the chart is the golden one', () => {
  const svg = frontierSvg({ runs })
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, svg)
  expect(svg).toBe(readFileSync(golden, 'utf8'))
})

test('the chart names itself, its runs and its series, and escapes what they are called', () => {
  const svg = frontierSvg({ runs, title: 'A & B' })
  expect(svg).toContain('role="img" aria-label="A &amp; B: L0 against FVU and ΔCE of 8 runs')
  expect(svg).toContain('prefers-color-scheme:dark')
  expect(svg).not.toContain('jumprelu <')
  expect(svg.match(/<title>/g)).toHaveLength(1 + 8 + 7)
  expect(svg).not.toMatch(/NaN|Infinity|undefined/)
})

test('an axis of L0 begins and ends at the ticks around the values, or on them', () => {
  const ticks = (...l0: number[]) => {
    const svg = frontierSvg({ runs: l0.map(value => run('topk', value, 0.3, null)) })
    return [1, 2, 5, 10, 20, 50, 100, 200].filter(tick => svg.includes(`>${tick}</text>`))
  }
  expect(ticks(20, 50)).toEqual([20, 50])
  expect(ticks(19, 51)).toEqual([10, 20, 50, 100])
  expect(ticks(20)).toEqual([20, 50])
})

test('one run, none, and runs without ΔCE still make a chart', () => {
  for (const some of [
    [],
    [runs[0]],
    [runs[0], run('standard', 12, 0.3, null)],
    [run('standard', 12, 0.3, null)],
    [run('dense', 0, 1, 0)],
  ]) {
    const svg = frontierSvg({ runs: some })
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
    // Nor a curve of no points.
    expect(svg).not.toContain('d=""')
  }
  expect(frontierSvg({ runs: [run('standard', 12, 0.3, null)] })).toContain('not measured')
})

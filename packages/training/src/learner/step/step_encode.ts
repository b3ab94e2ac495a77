// The first phase of a step: norms, dead latents, limits, and what fires, as lists of hits or as matrices.
import type { Task } from '@mistudio/tensor'
import type { Dynamics } from '../../plan.ts'
import { beginAux, compactEncoderTasks, joinAux } from '../aux.ts'
import type { Block } from '../block.ts'
import { collectTasks, topkTasks } from '../encode.ts'
import { countDead, type Engine, runAll, runKept, valuesOf } from '../engine.ts'
import { compactHits, evenSpans, needed } from '../hits.ts'
import { levelRoom, rowHits } from '../paths.ts'
import { call, chunkRows, pieces, rangeLatents } from '../pieces.ts'
import { activate, emptySums, ratesOf } from '../rules.ts'
import type { Screen } from '../screen.ts'
import { firstGuess, keepLargest, selectBatch } from '../select.ts'
import { denseEncodeTasks, readFired } from './dense.ts'

/** If more than this share of the latents fire, the next step is dense. */
const denseShare = 0.05

export async function encode(e: Engine, next: Dynamics): Promise<void> {
  const { plan, batchSize, blocks, products, hits, thresholded, normed, tokensSinceFired, memory } = e
  const s = e.step
  const { dSae } = e.plan.shape
  const { selection } = e.plan
  s.dynamics = next
  s.levels = next.levels ?? plan.levels
  if (s.levels.length > levelRoom(plan))
    throw new Error(`${s.levels.length} levels in a step, ${plan.levels.length} in the plan`)
  await measureNorms(e)
  s.latentSums = blocks.map(({ latents }) => emptySums(latents))
  s.rowCounts = blocks.map(() => new Int32Array(batchSize))
  s.aux = undefined
  if (plan.auxK !== null && (countDead(e) ?? 0) > 0) {
    s.aux = beginAux({ plan, auxK: plan.auxK, blocks, batchSize, silent: tokensSinceFired, normed })
  }
  for (const { memory: home, at, latents } of blocks) {
    if (selection.kind === 'gated') {
      const [rMag, magnitude] = [home.f32(at.rMag, latents), home.f32(at.magnitude, latents)]
      for (let i = 0; i < latents; i++) magnitude[i] = Math.exp(rMag[i])
    }
    if (selection.kind === 'jumprelu') {
      const [theta, limit] = [home.f32(at.threshold, latents), home.f32(at.limit, latents)]
      for (let i = 0; i < latents; i++) limit[i] = theta[i] - selection.bandwidth / 2
    }
  }
  s.dense = memory.dense
  if (!s.dense) s.dense = !(await encodeLists(e))
  if (s.dense) await runAll(e, block => denseEncodeTasks(block, { plan, products, batchSize }))
  countFiring(e)
  const l0 = s.firing / batchSize
  s.rates = ratesOf(plan, s.dynamics, batchSize, l0)
  if (thresholded) {
    const found = s.dense ? s.firing : hits.reduce((sum, { count }) => sum + count, 0)
    memory.dense = found > denseShare * dSae * batchSize
  }
}

/** @returns false if more latents fire than the lists hold */
async function encodeLists(e: Engine): Promise<boolean> {
  const { plan, batchSize, blocks, products, hits, normed } = e
  const s = e.step
  switch (plan.selection.kind) {
    case 'topk':
      await encodeTopK(e, s.dynamics.k ?? plan.selection.k)
      break
    case 'batchtopk':
      await encodeBatchTopK(e, s.dynamics.k ?? plan.selection.k)
      break
    default: {
      const options = { products, batchSize, normed, rescored: false }
      await runKept(e, s.aux === undefined ? 'collect' : undefined, () =>
        blocks.flatMap((block, b) => collectTasks(block, { ...options, dead: s.aux?.parts[b] })),
      )
      if (blocks.some(block => needed(block, batchSize).most > block.chunkHits)) return false
      for (const one of hits) compactHits(one, batchSize)
    }
  }
  if (normed) {
    blocks.forEach((block, b) => {
      const { index, pre, count } = hits[b]
      const norms = block.memory.f32(block.at.norms, block.latents)
      for (let p = 0; p < count; p++) if (norms[index[p]] !== 0) pre[p] /= norms[index[p]]
    })
  }
  if (s.aux !== undefined && plan.auxK !== null)
    joinAux({ plan, auxK: plan.auxK, blocks, batchSize, aux: s.aux, normed })
  return true
}

/** The eight-bit product, if this step uses it. */
const screenOf = ({ screen }: Engine): Screen | undefined => (screen?.active() ? screen : undefined)

/** Copies of the weights for this step: eight-bit ones for the screen, the rows of dead latents for AuxK. */
async function prepareScores(e: Engine, screen: Screen | undefined): Promise<void> {
  const { blocks, scoring, step } = e
  const aux = scoring === 'product' ? undefined : step.aux
  if (screen === undefined && aux === undefined) return
  await runKept(e, aux === undefined ? 'quantise' : undefined, () =>
    blocks.flatMap((block, b) => [
      ...(screen?.quantise(block) ?? []),
      ...(aux === undefined ? [] : compactEncoderTasks(block, aux.parts[b].dead)),
    ]),
  )
}

async function encodeTopK(e: Engine, k: number): Promise<void> {
  const { plan, batchSize, blocks, products, hits, normed, scoring } = e
  const s = e.step
  const kept = blocks.map(({ latents }) => rowHits(plan, latents, k))
  // Nothing else writes the spans: they change only with k.
  if (k !== s.spans) for (const [b, one] of hits.entries()) evenSpans(one, batchSize, kept[b])
  s.spans = k
  const options = { products, batchSize, normed, rescored: scoring !== 'product' }
  const screen = screenOf(e)
  await prepareScores(e, screen)
  const key = s.aux === undefined ? `topk ${k} ${screen?.perK}` : undefined
  await runKept(e, key, () =>
    blocks.flatMap((block, b) => topkTasks(block, kept[b], { ...options, screen, dead: s.aux?.parts[b] })),
  )
  if (screen !== undefined) {
    const open = blocks.map(block => unsettledChunks(block, batchSize))
    screen.note(open.flat().length, blocks.length * Math.ceil(batchSize / chunkRows))
    if (open.some(({ length }) => length > 0))
      await runAll(e, (block, b) => topkTasks(block, kept[b], { ...options, chunks: open[b] }))
  }
  if (blocks.length > 1) {
    const parts = kept.map((n, b) => ({ value: hits[b].value, k: n }))
    keepLargest({ rows: batchSize, keep: k, parts })
  }
}

const unsettledChunks = ({ memory, at }: Block, rows: number): number[] =>
  [...memory.i32(at.need, Math.ceil(rows / chunkRows))].flatMap((count, c) => (count > 0 ? [c] : []))

async function encodeBatchTopK(e: Engine, k: number): Promise<void> {
  const { pool, plan, batchSize, blocks, products, hits, normed, memory, scoring } = e
  const s = e.step
  const options = { products, batchSize, normed, rescored: scoring !== 'product' }
  if (!Number.isFinite(memory.guess)) {
    memory.guess = await firstGuess({ pool, blocks, hits, k, encode: { ...options, rescored: false } })
  }
  const screen = screenOf(e)
  await prepareScores(e, screen)
  const chosen = await selectBatch({
    blocks,
    hits,
    batchSize,
    budget: Math.min(Math.floor(k * batchSize), plan.shape.dSae * batchSize),
    guess: memory.guess,
    rescored: options.rescored,
    screen,
    collect: by =>
      runKept(e, s.aux === undefined ? `batchtopk ${by !== undefined}` : undefined, () =>
        blocks.flatMap((block, b) => collectTasks(block, { ...options, screen: by, dead: s.aux?.parts[b] })),
      ),
  })
  s.least = chosen.least
  memory.guess = chosen.guess
}

/** n_i of every latent; 1 if nothing uses norms. */
async function measureNorms(e: Engine): Promise<void> {
  const { plan, usesNorms } = e
  if (!usesNorms || plan.decoder === 'unit') return
  await runAll(e, ({ memory: home, at, latents, dOut: width }) =>
    pieces(latents, rangeLatents).map(
      ({ start, length }): Task => [
        call(
          home,
          'segmentNorms',
          at.wDec,
          start,
          start + length,
          width,
          at.segments,
          at.segmentCount,
          at.norms,
        ),
      ],
    ),
  )
}

function countFiring(e: Engine): void {
  const { plan, batchSize, blocks, hits } = e
  const s = e.step
  s.firing = 0
  blocks.forEach((block, b) => {
    if (s.dense) {
      readFired(block, batchSize, s.latentSums[b])
      s.rowCounts[b].set(block.memory.i32(block.at.dense!.rowCount, batchSize))
      for (const count of s.latentSums[b].fired) s.firing += count
    } else s.firing += activate(plan, hits[b], valuesOf(e, block), s.latentSums[b], s.rowCounts[b])
  })
}

// Which paths a plan's steps can take, and how many hits and levels they need room for.
import type { Plan } from '../plan.ts'
import { chunkRows } from './pieces.ts'

const isThresholded = ({ selection }: Plan) =>
  selection.kind === 'relu' || selection.kind === 'jumprelu' || selection.kind === 'gated'

/** Whether the dense path supports the plan. Rare plans stay with lists, which then have room for every latent. */
export function goesDense(plan: Plan): boolean {
  const { selection, penalty, auxK, preAct } = plan
  if (!isThresholded(plan) || auxK !== null || levelRoom(plan) > 1) return false
  const jump = selection.kind === 'jumprelu'
  if (preAct !== null && !jump) return false
  if (penalty === null) return true
  switch (penalty.kind) {
    case 'l1':
      return !jump
    case 'lp':
      return selection.kind === 'relu'
    case 'tanh':
    case 'l0':
    case 'target_l0':
      return jump
  }
}

/** Hits that a chunk of rows has room for: all that a selection can keep, or 8 % of the latents before the step goes dense. */
export function chunkHitsOf(plan: Plan, latents: number): number {
  const { selection } = plan
  switch (selection.kind) {
    case 'topk':
      return chunkRows * Math.min(selection.mostK ?? selection.k, latents)
    case 'batchtopk':
      return chunkRows * Math.min(latents, Math.max(16 * (selection.mostK ?? selection.k), 64))
    default:
      return (
        chunkRows * (goesDense(plan) ? Math.min(latents, Math.max(Math.ceil(latents * 0.08), 32)) : latents)
      )
  }
}

/** Most levels of a step. */
export const levelRoom = ({ levels, mostLevels = 1 }: Plan) => Math.max(levels.length, mostLevels)

/** Fixed hits per row. */
export const rowHits = (plan: Plan, latents: number, k?: number) =>
  plan.selection.kind === 'topk' ? Math.min(k ?? plan.selection.k, latents) : 0

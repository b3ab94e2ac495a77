// Where each group's rows are: a cross-layer SAE's rows are as wide as what their group reads and writes, one
// group after another in one array. All code that goes through weights by latent uses this.

import type { HookSpan } from './sae.ts'
import type { LatentGroup, Span } from './shape.ts'

export type GroupRows = LatentGroup & {
  /** Latents of the group, columns it reads and columns it writes. */
  count: number
  reads: number
  writes: number
  /** Where its first row begins in wEnc and wDec, in elements. */
  encoderAt: number
  decoderAt: number
}

/** The groups and where their rows are, in ascending latents. */
export function groupRows(groups: readonly LatentGroup[]): GroupRows[] {
  let encoderAt = 0
  let decoderAt = 0
  return groups.map(group => {
    const size = ([from, to]: Span) => to - from
    const count = size(group.latents)
    const placed = {
      ...group,
      count,
      reads: size(group.input),
      writes: size(group.output),
      encoderAt,
      decoderAt,
    }
    encoderAt += count * placed.reads
    decoderAt += count * placed.writes
    return placed
  })
}

/** Elements of wEnc and wDec. */
export function weightSizes(groups: readonly LatentGroup[]): { encoder: number; decoder: number } {
  const rows = groupRows(groups)
  const sum = (of: (group: GroupRows) => number) => rows.reduce((total, group) => total + of(group), 0)
  return {
    encoder: sum(({ count, reads }) => count * reads),
    decoder: sum(({ count, writes }) => count * writes),
  }
}

/** The columns of each hook point in x or y. */
export function hookSpans(hooks: readonly HookSpan[]): Span[] {
  let from = 0
  return hooks.map(({ width }) => {
    from += width
    return [from - width, from]
  })
}

/** The overlap of two spans, or undefined. */
export function overlap(a: Span, b: Span): Span | undefined {
  const from = Math.max(a[0], b[0])
  const to = Math.min(a[1], b[1])
  return from < to ? [from, to] : undefined
}

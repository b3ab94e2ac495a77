// The top examples of a feature from SAEDashboard and from us. Its examples are tokens, so a context may come several
// times; ours are contexts at their strongest token, none with the window of another. Its distinct contexts must
// be ours, but for those whose activation ties with the last we kept and those whose window we already have.
import { defaultWindow } from '@mistudio/feature'

export type PeerFeature = {
  feature: number
  top: { context: number; position: number; activation: number }[]
}

/** Its activations are rounded to four decimals; the rest is float32 in another order. */
const tolerance = 3e-4

export function compareTop(options: {
  /** `number`: the context's row in `ids`. */
  ours: {
    number: number
    position: number
    peak_activation: number
    tokens: number[]
    window_start: number
  }[]
  peer: PeerFeature['top']
  limit: number
  ids: Int32Array
  contextSize: number
}): {
  contexts: number
  equal: number
  ties: number
  duplicates: number
  wrong: number
  largestError: number
} {
  const { ours, peer, limit, ids, contextSize } = options
  const strongest = new Map<number, { position: number; activation: number }>()
  for (const { context, position, activation } of peer) {
    if (activation > (strongest.get(context)?.activation ?? 0))
      strongest.set(context, { position, activation })
  }
  const known = new Map(ours.map(example => [example.number, example.peak_activation]))
  const activations = new Set(
    ours.map(({ tokens, position, window_start }) => key(tokens, position - window_start)),
  )
  const last = ours.length < limit ? 0 : ours.at(-1)!.peak_activation
  const result = { contexts: strongest.size, equal: 0, ties: 0, duplicates: 0, wrong: 0, largestError: 0 }
  for (const [context, { position, activation }] of strongest) {
    const mine = known.get(context)
    if (mine !== undefined) {
      const error = Math.abs(mine - activation) / Math.max(1, activation)
      result.largestError = Math.max(result.largestError, error)
      if (error <= tolerance) result.equal++
      else result.wrong++
    } else if (activations.has(windowOf(context, position))) result.duplicates++
    else if (activation <= last + tolerance * Math.max(1, activation)) result.ties++
    else result.wrong++
  }
  return result

  /** The window we would show, cut at the ends of context and document (a document begins with token 0). */
  function windowOf(context: number, position: number): string {
    const row = ids.subarray(context * contextSize, (context + 1) * contextSize)
    let start = Math.max(0, position - defaultWindow.before)
    let end = Math.min(contextSize, position + defaultWindow.after + 1)
    for (let i = start; i <= position; i++) if (row[i] === 0) start = i
    for (let i = end - 1; i > position; i--) if (row[i] === 0) end = i
    return key([...row.subarray(start, end)], position - start)
  }
}

const key = (tokens: number[], peak: number) => `${peak}:${tokens.join(',')}`

// The text around a peak: tokens and the feature's activation on each. Windows of kept examples are stored in blocks of
// fixed width that grow on demand, since most features of a wide SAE keep few examples or none.

/** Tokens kept around a peak; cut at the ends of the context and the document. */
export type WindowShape = { before: number; after: number }

export const defaultWindow: WindowShape = { before: 24, after: 16 }

/** An example's text. `start` is the position of the first token in its context. */
export type ExampleWindow = { start: number; tokens: Int32Array; activations: Float32Array }

/** A half-open interval of one document in a context. */
export type Span = { start: number; end: number }

/** The window of a peak: `[start, end)` in the context, inside the peak's own document. */
export function windowSpan(options: {
  position: number
  contextSize: number
  documents: readonly Span[]
  shape?: WindowShape
}): Span {
  const { position, contextSize, documents, shape = defaultWindow } = options
  const document = documents.find(span => position >= span.start && position < span.end)
  return {
    start: Math.max(position - shape.before, document?.start ?? 0, 0),
    end: Math.min(position + shape.after + 1, document?.end ?? contextSize, contextSize),
  }
}

/** Two hashes of a window's content: its token ids and where in it the peak is. Reused, not allocated. */
export type WindowKey = { high: number; low: number }

/**
 * Hashes `ids[from … to)` and the peak's offset from `from` into 64 bits (two 32-bit multiply-xor hashes with
 * different multipliers, MurmurHash3's finaliser), so that a false duplicate among n examples of a feature has a
 * chance near n² / 2^65.
 */
export function windowKey(ids: Int32Array, from: number, to: number, peak: number, key: WindowKey): void {
  let high = 0x9747b28c ^ (to - from)
  let low = 0x3c6ef372 ^ (peak - from)
  for (let i = from; i < to; i++) {
    const id = ids[i]
    high = Math.imul(high ^ id, 0xcc9e2d51)
    high ^= high >>> 15
    low = Math.imul(low ^ id, 0x1b873593)
    low ^= low >>> 13
  }
  key.high = mix32(high ^ (peak - from))
  key.low = mix32(low ^ (to - from))
}

/** MurmurHash3's 32-bit finaliser (Austin Appleby, public domain): every input bit moves every output bit. */
export function mix32(value: number): number {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

export interface WindowPool {
  readonly shape: WindowShape
  /** Takes a new window. @returns its number */
  take(): number
  /**
   * Writes a window: tokens `ids[from … to)` and activations 0 except at the feature's hits.
   * @param options.start position of `ids[from]` in its context
   */
  write(options: {
    window: number
    ids: Int32Array
    from: number
    to: number
    start: number
    /** Hits of the feature in the batch: rows (positions in `ids`) ascending and values, `hitFrom … hitTo`. */
    rows: Int32Array
    values: Float32Array
    hitFrom: number
    hitTo: number
  }): void
  read(window: number): ExampleWindow
  /** Tokens of every window taken. */
  tokens(): Iterable<Int32Array>
  readonly count: number
}

const windowsPerBlock = 1024

export function createWindowPool(options: { shape?: WindowShape } = {}): WindowPool {
  const { shape = defaultWindow } = options
  const width = shape.before + 1 + shape.after
  const blocks: { tokens: Int32Array; activations: Float32Array; starts: Int32Array; lengths: Int32Array }[] =
    []
  let count = 0
  function read(window: number): ExampleWindow {
    const block = blocks[Math.floor(window / windowsPerBlock)]
    const place = window % windowsPerBlock
    const from = place * width
    const to = from + block.lengths[place]
    return {
      start: block.starts[place],
      tokens: block.tokens.subarray(from, to),
      activations: block.activations.subarray(from, to),
    }
  }
  return {
    shape,
    take() {
      if (count === blocks.length * windowsPerBlock) {
        blocks.push({
          tokens: new Int32Array(windowsPerBlock * width),
          activations: new Float32Array(windowsPerBlock * width),
          starts: new Int32Array(windowsPerBlock),
          lengths: new Int32Array(windowsPerBlock),
        })
      }
      return count++
    },
    write({ window, ids, from, to, start, rows, values, hitFrom, hitTo }) {
      const block = blocks[Math.floor(window / windowsPerBlock)]
      const place = window % windowsPerBlock
      const base = place * width
      block.starts[place] = start
      block.lengths[place] = to - from
      for (let i = from; i < to; i++) block.tokens[base + i - from] = ids[i]
      block.activations.fill(0, base, base + to - from)
      for (let hit = hitFrom; hit < hitTo; hit++) {
        const row = rows[hit]
        if (row >= from && row < to) block.activations[base + row - from] = values[hit]
      }
    },
    read,
    *tokens() {
      for (let window = 0; window < count; window++) yield read(window).tokens
    },
    get count() {
      return count
    },
  }
}

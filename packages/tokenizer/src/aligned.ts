// A text in a tokenizer's pipeline that tracks where each character came from. Normalisers
// and pre-tokenizers change the text, but offsets refer to the original. Ranges are inherited as in
// the Rust crate `tokenizers` (NormalizedString): a replaced character keeps its range, an
// inserted one takes the range of the character before it, a removed one leaves no trace.

/**
 * `text[i]` (UTF-16 code unit) stands for the original's `[from[i], to[i])`. Both units of a surrogate pair
 * carry the range of the character. `from` and `to` null: unchanged text that begins at `base` of the
 * original.
 */
export type Aligned = {
  readonly text: string
  readonly base: number
  readonly from: Int32Array | null
  readonly to: Int32Array | null
}

/**
 * One character of the result of an `edit`: `text`, and how many characters it adds (1: inserted) or
 * removes.
 */
export type Edit = { text: string; change: number }

export function unchanged({ text, base }: { text: string; base: number }): Aligned {
  return { text, base, from: null, to: null }
}

/** Part `[start, end)` of a text, in UTF-16 code units of `aligned.text`. */
export function slice(aligned: Aligned, start: number, end: number): Aligned {
  const text = aligned.text.slice(start, end)
  if (aligned.from === null || aligned.to === null) return unchanged({ text, base: aligned.base + start })
  return {
    text,
    base: aligned.base,
    from: aligned.from.subarray(start, end),
    to: aligned.to.subarray(start, end),
  }
}

/** Where unit `i` begins in the original. */
export const originalStart = ({ base, from }: Aligned, i: number): number =>
  from === null ? base + i : from[i]

/** Where unit `i` ends in the original; a whole character's end when `i` is its last unit. */
export const originalEnd = ({ base, to }: Aligned, i: number): number => (to === null ? base + i + 1 : to[i])

/** Builds an aligned text piece by piece. */
export function alignedWriter(base: number) {
  const parts: string[] = []
  const from: number[] = []
  const to: number[] = []
  return {
    /** Appends `text` with one range for all of it. */
    put(text: string, start: number, end: number): void {
      parts.push(text)
      for (let i = 0; i < text.length; i++) {
        from.push(start)
        to.push(end)
      }
    },
    /** Appends units `[start, end)` of `source` unchanged. */
    copy(source: Aligned, start: number, end: number): void {
      parts.push(source.text.slice(start, end))
      for (let i = start; i < end; i++) {
        const [a, b] = characterRange(source, i)
        from.push(a)
        to.push(b)
      }
    },
    done(): Aligned {
      return { text: parts.join(''), base, from: Int32Array.from(from), to: Int32Array.from(to) }
    },
  }
}

/** Original range of the character that unit `i` belongs to. */
export function characterRange(aligned: Aligned, i: number): [number, number] {
  const { text, base, from, to } = aligned
  if (from !== null && to !== null) return [from[i], to[i]]
  const low = isLow(text, i) && i > 0 && isHigh(text, i - 1)
  const high = isHigh(text, i) && isLow(text, i + 1)
  return [base + (low ? i - 1 : i), base + (high ? i + 2 : i + 1)]
}

const isHigh = (text: string, i: number): boolean => (text.charCodeAt(i) & 0xfc00) === 0xd800
const isLow = (text: string, i: number): boolean => (text.charCodeAt(i) & 0xfc00) === 0xdc00

/** Units of the character at `i`. */
export const characterLength = (text: string, i: number): number => (text.codePointAt(i)! > 0xffff ? 2 : 1)

/**
 * Replaces the whole text by `edits`, characters in order; each says by `change` how the old text is
 * consumed: 0 takes the next old character, 1 takes none, -n takes the next one and drops n after it.
 */
export function transform(aligned: Aligned, edits: Iterable<Edit>): Aligned {
  const writer = alignedWriter(aligned.base)
  const { text } = aligned
  let position = 0
  let previous: [number, number] = [aligned.base, aligned.base]
  for (const { text: character, change } of edits) {
    if (change > 0) {
      writer.put(character, previous[0], previous[1])
      continue
    }
    const range = position < text.length ? characterRange(aligned, position) : previous
    writer.put(character, range[0], range[1])
    for (let taken = change; taken <= 0 && position < text.length; taken++) {
      previous = characterRange(aligned, position)
      position += characterLength(text, position)
    }
  }
  return writer.done()
}

/** Puts `prefix` before the text; it shares the range of the first character. An empty text stays empty. */
export function prepend(aligned: Aligned, prefix: string): Aligned {
  if (aligned.text === '' || prefix === '') return aligned
  const [start, end] = characterRange(aligned, 0)
  const writer = alignedWriter(aligned.base)
  writer.put(prefix, start, end)
  writer.copy(aligned, 0, aligned.text.length)
  return writer.done()
}

/** Replaces every match; the replacement takes the range of the match's last character. */
export function replace(aligned: Aligned, pattern: RegExp, content: string): Aligned {
  const { text } = aligned
  const matches = findMatches(text, pattern)
  if (matches.length === 0) return aligned
  if (matches.every(([start, end]) => end - start === 1) && content.length === 1) {
    return { ...aligned, text: text.replaceAll(pattern, () => content) }
  }
  const writer = alignedWriter(aligned.base)
  let last = 0
  for (const [start, end] of matches) {
    writer.copy(aligned, last, start)
    const [a, b] = end > 0 ? characterRange(aligned, end - 1) : [aligned.base, aligned.base]
    writer.put(content, a, b)
    last = end
  }
  writer.copy(aligned, last, text.length)
  return writer.done()
}

/** Ranges `[start, end)` of all matches of a global pattern, in order. */
export function findMatches(text: string, pattern: RegExp): [number, number][] {
  const found: [number, number][] = []
  pattern.lastIndex = 0
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    found.push([match.index, match.index + match[0].length])
    if (match[0] === '') pattern.lastIndex += characterLength(text, match.index)
    if (match.index >= text.length) break
  }
  pattern.lastIndex = 0
  return found
}

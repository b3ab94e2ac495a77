// NFC, NFD, NFKC and NFKD that track where every character came from. JavaScript's `normalize` gives only
// the text, so the algorithm of Unicode Standard Annex #15 is implemented here, taking decompositions, order and
// compositions from `normalize` of one or two characters. What a character counts for (`change`)
// follows the crate unicode-normalization-alignments, which Python's `tokenizers` uses: decomposing inserts,
// composing removes.
import { type Aligned, alignedWriter, type Edit, transform } from './aligned.ts'
import { isLater } from './unicode_age.ts'

export type UnicodeForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD'

export function toForm(aligned: Aligned, form: UnicodeForm): Aligned {
  const { text } = aligned
  if (text.normalize(form) === text) return aligned
  const writer = alignedWriter(aligned.base)
  const edits = form === 'NFD' || form === 'NFKD' ? decompose : compose
  let copied = 0
  for (const [start, end] of segments(text)) {
    const part = text.slice(start, end)
    if (part.normalize(form) === part) continue
    writer.copy(aligned, copied, start)
    const changed = transform(spelledOut(aligned, start, end), edits(part, form))
    writer.copy(changed, 0, changed.text.length)
    copied = end
  }
  writer.copy(aligned, copied, text.length)
  return writer.done()
}

/** A part with its ranges spelled out. */
function spelledOut(aligned: Aligned, start: number, end: number): Aligned {
  const writer = alignedWriter(aligned.base)
  writer.copy(aligned, start, end)
  return writer.done()
}

/**
 * Runs of characters beyond ASCII, each with the ASCII character before it: ASCII never interacts with what
 * precedes it.
 */
function* segments(text: string): Generator<[number, number]> {
  for (const match of text.matchAll(/[\0-\x7f]?[^\0-\x7f]+/g))
    yield [match.index, match.index + match[0].length]
}

const canonical = new Map<string, string[]>()
const compatible = new Map<string, string[]>()

function decompositionOf(character: string, form: UnicodeForm): string[] {
  const compatibility = form === 'NFKC' || form === 'NFKD'
  const cache = compatibility ? compatible : canonical
  let parts = cache.get(character)
  if (parts === undefined) {
    parts = isLater(character) ? [character] : Array.from(character.normalize(compatibility ? 'NFKD' : 'NFD'))
    cache.set(character, parts)
  }
  return parts
}

function decompose(text: string, form: UnicodeForm): Edit[] {
  const edits: Edit[] = []
  let pending: Edit[] = []
  const flush = () => {
    edits.push(...canonicalOrder(pending))
    pending = []
  }
  for (const character of text) {
    decompositionOf(character, form).forEach((part, i) => {
      const edit = { text: part, change: i > 0 ? 1 : 0 }
      if (isMark(part)) {
        pending.push(edit)
      } else {
        flush()
        edits.push(edit)
      }
    })
  }
  flush()
  return edits
}

function compose(text: string, form: UnicodeForm): Edit[] {
  const result: Edit[] = []
  let starter: Edit | null = null
  let waiting: Edit[] = []
  for (const edit of decompose(text, form)) {
    const mark = isMark(edit.text)
    if (starter === null) {
      if (mark) result.push(edit)
      else starter = edit
      continue
    }
    const last = waiting.at(-1)
    const blocked = last !== undefined && !(mark && comesAfter(edit.text, last.text))
    const whole: string | null = blocked ? null : composition(starter.text, edit.text)
    if (whole !== null) {
      starter = { text: whole, change: starter.change + edit.change - 1 }
    } else if (mark) {
      waiting.push(edit)
    } else {
      result.push(starter, ...waiting)
      waiting = []
      starter = edit
    }
  }
  if (starter !== null) result.push(starter, ...waiting)
  return result
}

/** The character that two compose to, or null. */
function composition(first: string, second: string): string | null {
  const whole = (first + second).normalize('NFC')
  const single = whole.length === (whole.codePointAt(0)! > 0xffff ? 2 : 1)
  return single && !isLater(whole) ? whole : null
}

const marks = new Map<string, boolean>()

/**
 * Whether a character has a combining class other than 0: it then swaps with U+0345 (class 240, the
 * highest) before it or with U+0334 (class 1, the lowest) after it.
 */
function isMark(character: string): boolean {
  if (character < '\u0300') return false
  let known = marks.get(character)
  if (known === undefined) {
    const moves = comesAfter('\u0345', character) || comesAfter(character, '\u0334') || character === '\u0334'
    known = moves && !isLater(character)
    marks.set(character, known)
  }
  return known
}

/** Whether `a` has a higher combining class than `b`, both marks: `a b` is reordered to `b a`. */
const comesAfter = (a: string, b: string): boolean => a !== b && (a + b).normalize('NFD') === b + a

/** Marks sorted stably by combining class. */
function canonicalOrder(pending: Edit[]): Edit[] {
  if (pending.length < 2) return pending
  const whole = pending.map(({ text }) => text).join('')
  const ordered = whole.normalize('NFD')
  if (ordered === whole) return pending
  const byText = new Map<string, Edit[]>()
  for (const edit of pending) byText.set(edit.text, [...(byText.get(edit.text) ?? []), edit])
  return Array.from(ordered, character => byText.get(character)!.shift()!)
}

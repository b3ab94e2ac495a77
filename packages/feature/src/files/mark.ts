// An example as one line of text with its peak marked, for terminals and documents.
import type { Example } from './examples.ts'

export type MarkOptions = {
  example: Pick<Example, 'token_texts' | 'position' | 'window_start'>
  /** 'brackets': [[token]]; 'ansi': reverse video for a terminal. Default 'brackets'. */
  style?: 'brackets' | 'ansi'
  /** Longest line, in UTF-16 units without marks; text far from the peak is cut to '…'. Default no limit. */
  width?: number
}

/**
 * One line: line breaks and tabs become symbols, other control characters '·' (so no escape sequence in the text
 * reaches a terminal). If tokens split a character, the whole character is marked.
 */
export function markPeak({ example, style = 'brackets', width = Infinity }: MarkOptions): string {
  const { token_texts: texts, position, window_start: start } = example
  let from = position - start
  while (from > 0 && texts[from] === '') from--
  let to = position - start + 1
  while (to < texts.length && texts[to] === '') to++
  const peak = oneLine(texts.slice(from, to).join(''))
  const room = Math.max(0, width - peak.length)
  const after = oneLine(texts.slice(to).join(''))
  const before = oneLine(texts.slice(0, from).join(''))
  const right = cutEnd(after, Math.max(Math.floor(room / 2), room - before.length))
  const left = cutStart(before, room - right.length)
  const marked = style === 'ansi' ? `\u001b[7m${peak}\u001b[27m` : `[[${peak}]]`
  return left + marked + right
}

/** Line breaks, tabs and other control characters as symbols. */
export function oneLine(text: string): string {
  return text
    .replaceAll('\r\n', '⏎')
    .replaceAll('\n', '⏎')
    .replaceAll('\t', '→')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, '·')
}

function cutEnd(text: string, length: number): string {
  if (text.length <= length) return text
  return length < 1 ? '' : `${text.slice(0, length - 1).toWellFormed()}…`
}

function cutStart(text: string, length: number): string {
  if (text.length <= length) return text
  return length < 1 ? '' : `…${text.slice(text.length - length + 1).toWellFormed()}`
}

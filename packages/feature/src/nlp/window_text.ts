// The text of an example's window and where its peak token is in it.
import type { Example } from '../files/examples.ts'
import { oneLine } from '../files/mark.ts'

/** What the analysis needs of an example. */
export type NlpExample = Pick<Example, 'token_texts' | 'position' | 'window_start'>

/** `[start, end)` in the text, UTF-16 units. */
export type Place = { start: number; end: number }

/** @returns `peak` undefined if the example's peak is no token of the window, or one without text */
export function windowText({ token_texts: texts, position, window_start }: NlpExample): {
  text: string
  peak: Place | undefined
} {
  const text = texts.join('')
  let token = position - window_start
  if (!(token >= 0 && token < texts.length)) return { text, peak: undefined }
  // If tokens split a character, its text is at the first of them.
  while (token > 0 && texts[token] === '') token--
  const start = texts.slice(0, token).reduce((sum, { length }) => sum + length, 0)
  const end = start + texts[token].length
  return { text, peak: end > start ? { start, end } : undefined }
}

const longestText = 80

/** A text for a list: invisible characters as symbols, cut to 80 characters. */
export function shown(text: string): string {
  const line = oneLine(text)
  const signs = /\S/.test(text) ? line : line.replace(/\s/g, '␣')
  return signs.length <= longestText ? signs : `${signs.slice(0, longestText - 1).toWellFormed()}…`
}

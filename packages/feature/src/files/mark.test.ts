import fc from 'fast-check'
import { expect, test } from 'vitest'
import { markPeak } from './mark.ts'

const example = (token_texts: string[], peak: number, window_start = 10) => ({
  token_texts,
  position: window_start + peak,
  window_start,
})

test('the peak stands in brackets, or in reverse video', () => {
  const the = example(['In', ' the', ' beginning'], 1)
  expect(markPeak({ example: the })).toBe('In[[ the]] beginning')
  expect(markPeak({ example: the, style: 'ansi' })).toBe('In\u001b[7m the\u001b[27m beginning')
})

test('a character of several tokens is marked whole, whichever of them is the peak', () => {
  const texts = ['a', '日', '', '', 'b']
  for (const peak of [1, 2, 3]) expect(markPeak({ example: example(texts, peak) })).toBe('a[[日]]b')
})

test('one line, and no control character of the text reaches a terminal', () => {
  const nasty = example(['a\r\nb\n', '\tc\u001b[31m', '\u202ed\u0007'], 1)
  expect(markPeak({ example: nasty })).toBe('a⏎b⏎[[→c·[31m]]·d·')
})

test('text far from the peak is cut to the width', () => {
  const long = example(['0123456789', 'PEAK', 'abcdefghij'], 1)
  expect(markPeak({ example: long, width: 14 })).toBe('…6789[[PEAK]]abcd…')
  expect(markPeak({ example: long, width: 2 })).toBe('[[PEAK]]')
  expect(markPeak({ example: example(['01', 'PEAK', 'abcdefghij'], 1), width: 14 })).toBe(
    '01[[PEAK]]abcdefg…',
  )
})

test('never wider than asked, and always whole where it fits', () => {
  const texts = fc.array(fc.string({ maxLength: 6 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(texts, fc.nat(7), fc.nat(40), (token_texts, at, width) => {
      const peak = at % token_texts.length
      const whole = markPeak({ example: example(token_texts, peak), style: 'ansi' })
      const marks = '\u001b[7m\u001b[27m'.length
      const cut = markPeak({ example: example(token_texts, peak), style: 'ansi', width })
      const peakLength = whole.indexOf('\u001b[27m') - whole.indexOf('\u001b[7m') - 4
      expect(cut.length - marks).toBeLessThanOrEqual(Math.max(width, peakLength))
      if (whole.length - marks <= width) expect(cut).toBe(whole)
    }),
  )
})

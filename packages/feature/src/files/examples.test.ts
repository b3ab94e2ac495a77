import fc from 'fast-check'
import { expect, test } from 'vitest'
import { byteTokenizer } from '../../testing/feature_support.ts'
import { tokenTexts } from './examples.ts'

const ids = (text: string) => Int32Array.from(Buffer.from(text, 'utf8'))

test('whole tokens have their own text, split characters stand at their first token', () => {
  const texts = tokenTexts({ tokenizer: byteTokenizer })
  expect(texts.of(ids('ab'))).toEqual(['a', 'b'])
  expect(texts.of(ids('é日x'))).toEqual(['é', '', '日', '', '', 'x'])
  expect(texts.of(Int32Array.of(256, 0))).toEqual(['<doc>', '␀'])
})

test('an id that no token has is named, not asked of the tokenizer', () => {
  const tokenText = (id: number) => {
    if (id > 256) throw new Error(`asked for ${id}`)
    return byteTokenizer.tokenText(id)
  }
  const texts = tokenTexts({ tokenizer: { ...byteTokenizer, tokenText } })
  expect([texts.one(65), texts.one(256), texts.one(257)]).toEqual(['A', '<doc>', '<token 257>'])
})

test('one text per token, together the text; collect knows every text that is given', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), text => {
      const texts = tokenTexts({ tokenizer: byteTokenizer })
      const tokens = ids(text)
      const found = texts.of(tokens)
      expect(found.length).toBe(tokens.length)
      expect(found.join('')).toBe(text.replaceAll('\0', '␀'))
      const known = new Set<string>()
      texts.collect(tokens, known)
      for (const one of found) expect(known.has(one)).toBe(true)
    }),
  )
})

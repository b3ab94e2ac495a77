// What the corpus needs from a tokenizer, and a fingerprint of a tokenizer's behaviour: a token store is useful
// only with the tokenizer it was made with.
import { createHash } from 'node:crypto'

export type TextTokenizer = {
  vocabSize: number
  /** Comes before every document. */
  documentToken: number
  specialTokens: ReadonlySet<number>
  /** Token ids of a text, no document or other special token added. */
  encodeIds(text: string): ArrayLike<number>
}

// Cases where tokenizers differ: spaces, digits, case, contractions, indentation, scripts, composition, emoji.
const probe = [
  "  The quick  brown fox isn't over 1234567890 lazy dogs; ÀÉÎ ñ ß, café cafe\u0301 ﬁ ② Ａ.",
  'def f(x):\n\treturn {"a": [x**2, 3.14e-10]}  # ok\r\n\n\n<div class="b">&amp;</div>',
  'Привет, мир. Ελληνικά שלום مرحبا नमस्ते สวัสดี 你好，世界。こんにちは 안녕하세요',
  'antidisestablishmentarianism SELECT * FROM t WHERE id >= 10; 👩‍👩‍👧 🇩🇪 \u200b\u00a0 end ',
].join('\n')

/** SHA-256 in hex over the vocabulary's size, the special tokens and the ids of a fixed text of many scripts. */
export function tokenizerFingerprint(tokenizer: TextTokenizer): string {
  const { vocabSize, documentToken, specialTokens } = tokenizer
  const special = [...specialTokens].sort((a, b) => a - b)
  const ids = Array.from(tokenizer.encodeIds(probe))
  const record = JSON.stringify({ vocabSize, documentToken, special, ids })
  return createHash('sha256').update(record).digest('hex')
}

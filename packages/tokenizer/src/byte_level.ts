// GPT-2 spells bytes as printable characters: the printable bytes of Latin-1 as themselves, the others as the
// characters from U+0100 on, in order (openai/gpt-2, encoder.py).
const printable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)

const byteCharacters: string[] = []
const byteOf = new Map<string, number>()
let hidden = 0
for (let byte = 0; byte < 256; byte++) {
  const character = String.fromCharCode(printable(byte) ? byte : 0x100 + hidden++)
  byteCharacters.push(character)
  byteOf.set(character, byte)
}

const encoder = new TextEncoder()

/** A text in byte characters. */
export function toByteCharacters(text: string): string {
  // Printable ASCII, which is most words, is spelled as itself; only its leading space is worth a
  // shortcut.
  if (/^ ?[!-~]*$/.test(text)) return text[0] === ' ' ? `Ġ${text.slice(1)}` : text
  let spelled = ''
  for (const byte of encoder.encode(text)) spelled += byteCharacters[byte]
  return spelled
}

/** The bytes a token stands for; a token not spelled in byte characters stands for its own UTF-8. */
export function fromByteCharacters(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length)
  for (let i = 0; i < token.length; i++) {
    const byte = byteOf.get(token[i])
    if (byte === undefined) return encoder.encode(token)
    bytes[i] = byte
  }
  return bytes
}

/** For each UTF-8 byte of a text, where its character begins and ends in the text (UTF-16 code units). */
export function byteSpans(text: string): { start: Int32Array; end: Int32Array } {
  const start: number[] = []
  const end: number[] = []
  let at = 0
  for (const character of text) {
    const code = character.codePointAt(0)!
    const bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    for (let i = 0; i < bytes; i++) {
      start.push(at)
      end.push(at + character.length)
    }
    at += character.length
  }
  return { start: Int32Array.from(start), end: Int32Array.from(end) }
}

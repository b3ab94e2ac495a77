// Which documents training never reads. The side is a pure function of the text, so equal texts, in any
// dataset or order, are always on the same side and none leaks from one to the other.
import { createHash } from 'node:crypto'

const shares = 10_000

/**
 * True when the first 64 bits of the SHA-256 of the text's UTF-8, modulo 10,000, are below `fraction`.
 * @param options.fraction share held out, 0 up to but not 1, in steps of 1/10,000
 */
export function isHeldOut(options: { text: string; fraction: number }): boolean {
  const digest = createHash('sha256').update(options.text, 'utf8').digest()
  return Number(digest.readBigUInt64BE(0) % BigInt(shares)) < Math.round(options.fraction * shares)
}

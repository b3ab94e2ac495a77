import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { isHeldOut } from './held_out.ts'

const texts = Array.from({ length: 5000 }, (_, i) => `document ${i}: ${'lorem ipsum '.repeat(i % 7)}`)

test.each([0.01, 0.1, 0.5])(
  'the share held out of 5,000 texts is %d within five binomial deviations',
  fraction => {
    const count = texts.filter(text => isHeldOut({ text, fraction })).length
    const deviation = Math.sqrt(texts.length * fraction * (1 - fraction))
    expect(Math.abs(count - texts.length * fraction)).toBeLessThan(5 * deviation)
  },
)

test('the side is the first 64 bits of the SHA-256 of the UTF-8, modulo 10,000', () => {
  for (const text of ['', 'a', 'naïve 你好', ...texts.slice(0, 100)]) {
    const hex = createHash('sha256').update(Buffer.from(text, 'utf8')).digest('hex').slice(0, 16)
    expect(isHeldOut({ text, fraction: 0.25 })).toBe(BigInt(`0x${hex}`) % 10_000n < 2500n)
  }
})

test('what is held out at a share is held out at every larger one; none at 0', () => {
  for (const text of texts.slice(0, 500)) {
    expect(isHeldOut({ text, fraction: 0 })).toBe(false)
    if (isHeldOut({ text, fraction: 0.1 })) expect(isHeldOut({ text, fraction: 0.2 })).toBe(true)
  }
})

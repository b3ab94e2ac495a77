// New ids: 100 random bits in lower-case base 32, so that they never meet and can stand in paths and URLs.
import { randomBytes } from 'node:crypto'
import { type IdKind, idPrefixes } from '@mistudio/contract'

const letters = '0123456789abcdefghjkmnpqrstvwxyz'
const length = 20

export function newId(kind: IdKind): string {
  const bytes = randomBytes(length)
  return `${idPrefixes[kind]}_${Array.from(bytes, byte => letters[byte & 31]).join('')}`
}

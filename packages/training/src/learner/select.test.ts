// A row's largest values over several blocks.
import { expect, test } from 'vitest'
import { keepLargest } from './select.ts'

/** Two rows of a part. */
const part = (...value: number[]) => ({ value: Float32Array.from(value), k: value.length / 2 })
const { NaN: none } = Number

test('the largest of each row stay, of equal ones the lower latent, and the rest is zeroed', () => {
  const [a, b] = [part(1, 5, 2, 4, 0, 1), part(3, 5, 4, 4)]
  keepLargest({ rows: 2, keep: 3, parts: [a, b] })
  expect([...a.value]).toEqual([0, 5, 0, 4, 0, 0])
  expect([...b.value]).toEqual([3, 5, 4, 4])
  const [c, d] = [part(7, 7), part(7, 8)]
  keepLargest({ rows: 2, keep: 1, parts: [c, d] })
  expect([...c.value, ...d.value]).toEqual([7, 0, 0, 8])
})

test('rows behind those asked for are left alone', () => {
  const [a, b] = [part(1, 2, 3, 4), part(5, 6, 7, 8)]
  keepLargest({ rows: 1, keep: 1, parts: [a, b] })
  expect([...a.value, ...b.value]).toEqual([0, 0, 3, 4, 0, 6, 7, 8])
})

test('a row that is not a number anywhere stays as it is; others do not', () => {
  const [a, b] = [part(1, 2, 1, 2), part(3, none, 3, 4)]
  keepLargest({ rows: 2, keep: 1, parts: [a, b] })
  expect([...a.value]).toEqual([1, 2, 0, 0])
  expect([...b.value]).toEqual([3, none, 0, 4])
})

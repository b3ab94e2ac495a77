// The kinds are found by their names: what the contract names is there, and is a kind.
import { jobKinds } from '@mistudio/contract'
import { expect, test } from 'vitest'
import { kinds } from './kinds.ts'

test('every kind that the contract names has a handler in the file of its name', () => {
  expect(Object.keys(kinds)).toEqual(jobKinds)
  for (const name of jobKinds) {
    const { folder, prepare, completed } = kinds[name]
    expect([typeof folder, typeof prepare, typeof completed], name).toEqual(Array(3).fill('function'))
  }
  // A retry does the work of a training, and is another kind all the same.
  expect(kinds.retry.completed).not.toBe(kinds.train.completed)
})

// Rounds by hand: what wakes, breaks off and ends between them.
import { expect, test } from 'vitest'
import { createRounds } from './rounds.ts'

/** Rounds that each last until they are let go. */
function heldRounds() {
  const held: PromiseWithResolvers<void>[] = []
  const faults: unknown[] = []
  const rounds = createRounds({
    round() {
      held.push(Promise.withResolvers<void>())
      return held.at(-1)!.promise
    },
    onError: error => faults.push(error),
  })
  const settle = () => new Promise(resolve => setImmediate(resolve))
  return { held, faults, rounds, settle }
}

test('waking any number of times in a round gives one more round, after it', async () => {
  const { held, rounds, settle } = heldRounds()
  rounds.wake()
  expect(held.length).toBe(0)
  rounds.begin()
  rounds.wake()
  rounds.wake()
  expect(held.length).toBe(1)
  held[0].resolve()
  await settle()
  expect(held.length).toBe(2)
  held[1].resolve()
  await rounds.settled()
  expect(held.length).toBe(2)
})

test('a round that breaks off is told of, and the next one comes', async () => {
  const { held, faults, rounds, settle } = heldRounds()
  rounds.begin()
  held[0].reject(new Error('no database'))
  await settle()
  rounds.wake()
  expect(held.length).toBe(2)
  expect(faults).toEqual([new Error('no database')])
})

test('after the end no round begins, and the one under way is waited for', async () => {
  const { held, rounds, settle } = heldRounds()
  rounds.begin()
  rounds.wake()
  rounds.end()
  let settled = false
  void rounds.settled().then(() => {
    settled = true
  })
  await settle()
  expect(settled).toBe(false)
  held[0].resolve()
  await settle()
  expect(settled).toBe(true)
  rounds.wake()
  expect(held.length).toBe(1)
})

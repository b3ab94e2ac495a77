// Lanes for tests: closed after each.
import { afterEach } from 'vitest'
import { type Lanes, openLanes } from '../src/lanes.ts'

/** @returns opens lanes that live until the test ends */
export function useLanes(): (count: number) => Promise<Lanes> {
  const opened: Lanes[] = []
  afterEach(async () => {
    for (const lanes of opened.splice(0)) await lanes.close()
  })
  return async count => {
    const lanes = await openLanes({ count })
    opened.push(lanes)
    return lanes
  }
}

// Lanes for the length of one piece of work.
import { type Lanes, openLanes } from './lanes.ts'

/** Opens the lanes, runs `use` and closes them, also when it fails: a job's thread ends only without lanes. */
export async function withLanes<R>(
  { threads }: { threads: number | undefined },
  use: (lanes: Lanes) => Promise<R>,
): Promise<R> {
  const lanes = await openLanes({ count: threads })
  try {
    return await use(lanes)
  } finally {
    await lanes.close()
  }
}

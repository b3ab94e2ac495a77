// A program for the test of the lock: says whether it got it, and keeps it until its standard input closes.
import { lockDataFolder } from '../../src/db/lock.ts'

const [dataDir] = process.argv.slice(2)
try {
  const lock = await lockDataFolder({ dataDir })
  console.log('locked')
  process.stdin.on('end', lock.release).resume()
} catch (error) {
  console.log((error as Error).message)
  process.stdin.resume()
}

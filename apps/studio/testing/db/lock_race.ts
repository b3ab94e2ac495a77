// A program for the test of the lock, run several times at once: takes the lock over and over from holders that leave
// it as if they had been killed, and says if it ever had it together with another.
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lockDataFolder } from '../../src/db/lock.ts'
import { folders } from '../../src/storage.ts'

const [dataDir, times] = process.argv.slice(2)
const path = join(dataDir, folders.lock)
const witness = join(dataDir, 'witness')

let together = 0
for (let won = 0; won < Number(times); ) {
  try {
    await lockDataFolder({ dataDir })
  } catch {
    continue
  }
  won += 1
  try {
    closeSync(openSync(witness, 'wx'))
  } catch {
    together += 1
  }
  // Time for another to believe that it has the lock, too.
  for (let i = 0; i < 20; i++) readFileSync(path)
  rmSync(witness, { force: true })
  const left = join(dataDir, randomUUID())
  writeFileSync(left, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), started: '1' }))
  renameSync(left, path)
}
console.log(together)
process.exit()

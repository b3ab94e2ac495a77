// A studio as a program, of whichever tree it lies in: server, job host and runner processes, as `mistudio serve` has them.
// Prints its address; queues the jobs that it is sent over the IPC channel, as a route would.
import { openDatabase } from '../../apps/studio/src/db/connect.ts'
import { jobs } from '../../apps/studio/src/db/schema.ts'
import { createExtractionShelf } from '../../apps/studio/src/domain/extractions/shelf.ts'
import { jobEvent, newJob } from '../../apps/studio/src/domain/jobs/job.ts'
import { createEventLog } from '../../apps/studio/src/events/log.ts'
import { createJobHost } from '../../apps/studio/src/jobs/host.ts'
import { buildServer } from '../../apps/studio/src/server.ts'
import { createStorage } from '../../apps/studio/src/storage.ts'

const dataDir = process.argv[2]
const onError = (error: unknown) => console.error(error)
const database = await openDatabase({ dataDir })
const { db } = database
const storage = createStorage({ dataDir })
const log = createEventLog({ db })
const host = createJobHost({ database, log, storage, onError })
const shelf = createExtractionShelf()
const services = { db, log, host, storage, shelf, maxUploadBytes: 1 << 20, onError }
const app = await buildServer({ services })
const url = await app.listen({ host: '127.0.0.1', port: 0 })
await host.start()
process.on('message', (job: Parameters<typeof newJob>[0]) => {
  void log
    .write(async tx => {
      const [row] = await tx.insert(jobs).values(newJob(job)).returning()
      return [jobEvent(row)]
    })
    .then(() => host.wake())
    .catch(onError)
})
// The test is gone, or done.
process.on('disconnect', () => process.exit())
process.send?.(url)

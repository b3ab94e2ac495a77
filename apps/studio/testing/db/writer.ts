// A program for the test that kills it: writes events for ever and says the number of each once it is written.

import { openDatabase } from '../../src/db/connect.ts'
import { createEventLog } from '../../src/events/log.ts'
import { newId } from '../../src/ids.ts'

const [dataDir, databaseUrl] = process.argv.slice(2)
const { db } = await openDatabase({ dataDir, databaseUrl: databaseUrl || undefined })
const log = createEventLog({ db })
for (;;) {
  const [{ seq }] = await log.write(async () => [
    {
      channel: 'jobs/all',
      event: 'job:status',
      data: {
        job_id: newId('job'),
        kind: 'train',
        entity: 'training/x',
        title: 'x',
        status: 'running',
        progress: 0,
        error_message: null,
      },
    },
  ])
  process.stdout.write(`${seq}\n`)
}

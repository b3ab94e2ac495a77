// `mistudio serve`: the studio, until it is stopped.
import { defineServer } from '../frame/command.ts'
import { writableDataFolder } from '../frame/data_folder.ts'
import { shared } from './shared/options.ts'

export const serve = defineServer({
  name: 'serve',
  summary: 'run the studio: a page in the browser, and what it shows',
  details:
    'Prints the address when it is ready. The first start on a data folder makes the demo project. DATABASE_URL names a\n' +
    'Postgres in place of the embedded database. Ctrl-C lets running jobs save what they have; the next start goes on.',
  options: {
    host: {
      kind: 'text',
      value: 'HOST',
      default: '127.0.0.1',
      help: 'address to listen on, of this machine',
    },
    port: {
      kind: 'integer',
      value: 'PORT',
      min: 0,
      max: 65_535,
      default: 8484,
      help: 'port to listen on, 0 for any free one',
    },
    'data-dir': shared.dataDir,
    'no-demo': { kind: 'flag', help: 'make no demo project' },
    threads: shared.threads,
  },
  spec: values => ({
    dataDir: writableDataFolder({ option: values['data-dir'] }),
    host: values.host,
    port: values.port,
    demo: !values['no-demo'],
    threads: values.threads,
    databaseUrl: process.env.DATABASE_URL || undefined,
  }),
  async serve(spec, { json, print, note, stopped }) {
    const { startStudio } = await import('@mistudio/studio')
    const studio = await startStudio(spec)
    const { url } = studio
    print(json ? JSON.stringify({ url, pid: process.pid }) : `miStudio is ready: ${url}`)
    await stopped
    note('stopping: running jobs save what they have (Ctrl-C again ends at once)')
    await studio.close()
  },
})

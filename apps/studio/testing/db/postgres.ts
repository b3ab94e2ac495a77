// A private Postgres for tests: a program that makes a cluster in a temporary folder, prints its address, and takes
// everything away when its standard input closes, so also when the test's process was killed.
import { spawn, spawnSync } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { debianFolder, postgresFolder } from './postgres_folder.ts'

/** Postgres refuses to run as root. */
function user(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))
  if (line === null) throw new Error('there is no user postgres: install the Debian package postgresql')
  return { uid: Number(line[1]), gid: Number(line[2]) }
}

function binaries(): string {
  const found = postgresFolder()
  if (found !== undefined) return found
  throw new Error(
    `no Postgres in ${debianFolder}: install the Debian package postgresql, or set MISTUDIO_TEST_DATABASE_URL`,
  )
}

const bin = binaries()
const owner = user()
const folder = mkdtempSync(join(tmpdir(), 'mistudio-pg-'))
const remove = () => rmSync(folder, { recursive: true, force: true })
process.on('exit', remove)
if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
const data = join(folder, 'data')

const made = spawnSync(
  join(bin, 'initdb'),
  ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'],
  {
    ...owner,
    cwd: folder,
    encoding: 'utf8',
  },
)
if (made.status !== 0) throw new Error(`initdb: ${made.error?.message ?? made.stderr}`)

// A socket in the folder: no port can be taken, and nobody else gets in.
const settings = {
  listen_addresses: '',
  unix_socket_directories: folder,
  fsync: 'off',
  max_connections: '50',
}
const server = spawn(
  join(bin, 'postgres'),
  ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
  { ...owner, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
)
let log = ''
server.stderr.setEncoding('utf8').on('data', (text: string) => {
  if (!log.includes('ready to accept connections')) {
    log += text
    if (log.includes('ready to accept connections')) {
      process.stdout.write(
        `postgresql://postgres@/postgres?host=${encodeURIComponent(folder)}&sslmode=disable\n`,
      )
    }
  }
})
server.on('exit', code => {
  if (!log.includes('ready to accept connections')) process.stderr.write(log)
  process.exit(code ?? 1)
})
// SIGINT is Postgres' fast shutdown: connections are cut.
process.stdin.on('end', () => server.kill('SIGINT')).resume()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => server.kill('SIGINT'))

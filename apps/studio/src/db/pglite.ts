// PGlite made durable, and its connection: bytes of the Postgres protocol in, bytes out. PGlite alone keeps nothing
// over a power cut: it starts with fsync off, and even with it on its file system has no fsync at all.
import { existsSync, fsyncSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { pg_trgm } from '@electric-sql/pglite/contrib/pg_trgm'
import { NodeFS } from '@electric-sql/pglite/nodefs'
import { InputError, writeDirectoryAtomic } from '@mistudio/files'
import { joined } from './bytes.ts'

/** The Postgres inside: what PG_VERSION of a folder says. Another major version reads other files. */
const postgresMajor = '18'

/** Lines of Postgres' own log that are kept to say why it did not start. */
const keptLines = 10

export type Backend = {
  /** Runs what a client sent and gives what the server answers; each call ends before the next may begin. */
  execute(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>>
  /** Postgres has ended, as when it cannot write its log: nothing but `close` may follow. The folder can be opened anew. */
  stopped(): boolean
  /** What a server does when a client has gone: nothing of its session is left to the next. */
  reset(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the database in a folder, makes it where there is none. The folder appears whole or not at all.
 * @throws InputError when the folder is of another version of Postgres, or Postgres does not start on it
 */
export async function openPglite(options: { folder: string }): Promise<Backend> {
  const { folder } = options
  const version = join(folder, 'PG_VERSION')
  if (!existsSync(version)) {
    await writeDirectoryAtomic({ path: folder, write: async next => (await startPglite(next)).close() })
  }
  const found = readFileSync(version, 'utf8').trim()
  if (found !== postgresMajor) {
    throw new InputError({
      message: 'the database was made by another version of Postgres',
      file: version,
      field: 'PG_VERSION',
      found,
      expected: postgresMajor,
    })
  }
  return backendOf(await startPglite(folder))
}

/** The status of the exception that stands for a longjmp: an ordinary error of a statement. */
const longjmp = 100

function backendOf(pglite: PGlite): Backend {
  const module = pglite.Module
  const loop = module._PostgresMainLoopOnce
  let stopped = false
  // PGlite swallows what is thrown here and calls again, which after the end of Postgres never returns.
  module._PostgresMainLoopOnce = () => {
    try {
      loop()
    } catch (error) {
      if ((error as { status?: number }).status !== longjmp) stopped = true
      throw error
    }
  }
  return {
    async execute(message) {
      const chunks: Uint8Array[] = []
      // A chunk is a view of the WebAssembly memory: gone with the next call.
      const onRawData = (bytes: Uint8Array) => chunks.push(bytes.slice())
      await pglite.execProtocolRawStream(message, { syncToFs: false, onRawData })
      return joined(chunks)
    },
    stopped: () => stopped,
    async reset() {
      if (pglite.isInTransaction()) await pglite.exec('rollback')
      await pglite.exec('discard all')
    },
    async close() {
      if (!stopped) await pglite.close()
    },
  }
}

async function startPglite(folder: string): Promise<PGlite> {
  const lines: string[] = []
  try {
    return await PGlite.create({
      fs: durableFiles(folder),
      extensions: { pg_trgm },
      relaxedDurability: false,
      startParams: [
        ...PGlite.defaultStartParams.filter(name => name !== '-F'),
        // fdatasync, the usual way to flush the log, does nothing here: fsync is the one that `durableFiles` mends.
        '-c',
        'wal_sync_method=fsync',
      ],
      onStderr: line => {
        lines.push(line)
        if (lines.length > keptLines) lines.shift()
        return false
      },
    })
  } catch (error) {
    throw new InputError({
      message: 'the embedded database does not start',
      file: folder,
      found: [...lines, error instanceof Error ? error.message : String(error)].join(' '),
      expected: 'a folder that miStudio made, on a disk with room',
    })
  }
}

type OpenFile = { nfd?: number }
type NodeFiles = { stream_ops: { fsync?: (file: OpenFile) => number } }
type FileErrors = { ErrnoError: new (code: number) => Error }

/** EIO, as WebAssembly numbers it. */
const inputOutputError = 29

/** Node's files with the one operation that PGlite's lack. Postgres stops at an fsync that fails, as it must. */
function durableFiles(folder: string): NodeFS {
  const files = new NodeFS(folder)
  const plain = files.init.bind(files)
  files.init = async (pglite, given) => {
    const { emscriptenOpts } = await plain(pglite, given)
    const preRun = [
      ...(emscriptenOpts.preRun ?? []),
      (module: { NODEFS: unknown; FS: unknown }) => {
        const operations = (module.NODEFS as NodeFiles).stream_ops
        operations.fsync = ({ nfd }) => {
          try {
            if (nfd !== undefined) fsyncSync(nfd)
            return 0
          } catch {
            throw new (module.FS as FileErrors).ErrnoError(inputOutputError)
          }
        }
      },
    ]
    return { emscriptenOpts: { ...emscriptenOpts, preRun } }
  }
  return files
}

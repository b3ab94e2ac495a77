// DuckDB as our Parquet reader and writer: one in-memory instance that never loads an extension or looks for one
// on a network. All text that is not ours is passed as a parameter or through the two quoting functions below.
import { setImmediate as turn } from 'node:timers/promises'
import {
  type DuckDBConnection,
  DuckDBDataChunkWriter,
  DuckDBInstance,
  type DuckDBValue,
} from '@duckdb/node-api'
import { InputError } from '@mistudio/files'

/** Rows of a row group: DuckDB's smallest, so that one feature is one or two groups of a file. */
const rowGroupRows = 2048
const rowsPerTurn = 256
/** Beyond this DuckDB spills to the temporary folder. */
const memoryLimit = '1GB'

export type Duck = {
  connection: DuckDBConnection
  /** Another connection, for a result that is streamed while others query. The caller closes it. */
  connect(): Promise<DuckDBConnection>
  close(): void
}

/** @param options.spillFolder where tables that outgrow memory spill; default nowhere */
export async function openDuck(options: { spillFolder?: string; threads?: number } = {}): Promise<Duck> {
  const { spillFolder, threads = 2 } = options
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(threads),
    memory_limit: memoryLimit,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    ...(spillFolder === undefined ? {} : { temp_directory: spillFolder }),
  })
  const connection = await instance.connect()
  return {
    connection,
    connect: () => instance.connect(),
    close() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

/** A text literal. COPY … TO and CREATE VIEW take no parameters. @throws InputError for a NUL character */
export function quoteText(text: string): string {
  if (text.includes('\0')) {
    throw new InputError({ message: 'a path cannot hold a NUL character', found: JSON.stringify(text) })
  }
  return `'${text.replaceAll("'", "''")}'`
}

/** A path that read_parquet takes literally: wildcards (* ? [) become one-character sets. */
export function literalPattern(path: string): string {
  return path.replace(/[*?[]/g, character => `[${character}]`)
}

/** Text as DuckDB's binding can keep it: a NUL would end it, and half a surrogate pair is not UTF-8. */
export function storedText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '␀')
}

/** A column of a file. `type` is our own SQL; 'dictionary' and 'dictionary[]' are text from `dictionary`. */
export type ParquetColumn = { name: string; type: string }

/**
 * Writes rows to a Parquet file (zstd, small row groups) sorted by `orderBy`.
 * @param options.dictionary every text that a dictionary column holds, distinct: such a column is stored as
 * numbers until DuckDB writes it as text, which is ten times faster than passing each string
 */
export async function writeParquet(options: {
  path: string
  columns: readonly ParquetColumn[]
  orderBy: readonly string[]
  rows: Iterable<DuckDBValue[]>
  dictionary?: readonly string[]
  spillFolder?: string
}): Promise<void> {
  const { path, columns, orderBy, rows, dictionary = [], spillFolder } = options
  const duck = await openDuck({ spillFolder })
  const { connection } = duck
  try {
    await createDictionary(connection, dictionary)
    const list = columns.map(({ name, type }) => `"${name}" ${type}`).join(', ')
    await connection.run(`CREATE TABLE rows (${list})`)
    await append(connection, 'rows', rows)
    await connection.run(
      `COPY (SELECT * FROM rows ORDER BY ${orderBy.join(', ')}) TO ${quoteText(path)}
       (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroupRows})`,
    )
  } finally {
    duck.close()
  }
}

async function createDictionary(connection: DuckDBConnection, texts: readonly string[]): Promise<void> {
  await connection.run('CREATE TABLE texts (place INTEGER, text VARCHAR)')
  // DuckDB has no empty ENUM.
  const known = texts.length > 0 ? texts : ['']
  await append(connection, 'texts', numbered(known))
  await connection.run('CREATE TYPE dictionary AS ENUM (SELECT text FROM texts ORDER BY place)')
}

function* numbered(texts: readonly string[]): Generator<DuckDBValue[]> {
  for (let place = 0; place < texts.length; place++) yield [place, texts[place]]
}

async function append(
  connection: DuckDBConnection,
  table: string,
  rows: Iterable<DuckDBValue[]>,
): Promise<void> {
  const appender = await connection.createAppender(table)
  const writer = DuckDBDataChunkWriter.forAppender(appender)
  let count = 0
  for (const row of rows) {
    writer.appendRow(row)
    // Building rows of text and appending a chunk take time, so timers run in between.
    if (++count % rowsPerTurn === 0) await turn()
  }
  writer.flush()
  appender.closeSync()
}

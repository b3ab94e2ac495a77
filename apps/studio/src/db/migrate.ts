// Brings a database to the schema of this program: at every start, under a lock, in one transaction. Each step looks
// at what is there before it changes anything, so it does no harm to run it on a database that someone, an older
// program or a crash left half-way.
import { InputError } from '@mistudio/files'
import { eq, type SQL, sql } from 'drizzle-orm'
import { type Migration, migrations, type Step } from './migrations.ts'
import { meta } from './schema.ts'
import type { Database, Transaction } from './transactions.ts'

/** Of the advisory lock: any number that no other program takes. */
const lockKey = 7_246_133_019

const versionKey = 'schema_version'

/**
 * @param options.to what to bring it to; default all of migrations.ts
 * @returns the versions it was at and is at now; 0 is an empty database
 * @throws InputError when it was made by a newer program
 */
export async function migrate(options: {
  db: Database
  to?: Migration[]
}): Promise<{ from: number; version: number }> {
  const { db, to = migrations } = options
  const version = Math.max(...to.map(migration => migration.version))
  return db.transaction(async tx => {
    await tx.execute(sql`select pg_advisory_xact_lock(${lockKey})`)
    const from = await versionOf(tx)
    if (from > version) throw tooNew(from, version)
    if (from === version) return { from, version }
    for (const migration of to) {
      if (migration.version <= from) continue
      for (const step of migration.steps) await applyStep({ tx, step })
    }
    const value = String(version)
    await tx
      .insert(meta)
      .values({ key: versionKey, value })
      .onConflictDoUpdate({ target: meta.key, set: { value } })
    return { from, version }
  })
}

const tooNew = (found: number, expected: number) =>
  new InputError({
    message: 'the database was made by a newer miStudio',
    field: versionKey,
    found: String(found),
    expected: `${expected} or older`,
  })

async function versionOf(tx: Transaction): Promise<number> {
  if (!(await exists(tx, sql`select to_regclass('meta') as found where to_regclass('meta') is not null`))) {
    return 0
  }
  const [row] = await tx.select().from(meta).where(eq(meta.key, versionKey))
  return row === undefined ? 0 : Number(row.value)
}

/** Does what of the step is not done yet. */
export async function applyStep(options: { tx: Transaction; step: Step }): Promise<void> {
  const { tx, step } = options
  const run = (text: string) => tx.execute(sql.raw(text))
  switch (step.kind) {
    case 'extension':
      if (await exists(tx, sql`select from pg_extension where extname = ${step.name}`)) return
      await run(`create extension ${quoted(step.name)}`)
      return
    case 'table':
      for (const statement of tableStatements(step, await columnsOf(tx, step.table))) await run(statement)
      return
    case 'constraint': {
      const relation = quoted(step.table)
      const found = sql`select from pg_constraint
        where conrelid = to_regclass(${relation}) and conname = ${step.name}`
      if (await exists(tx, found)) return
      await run(`alter table ${relation} add constraint ${quoted(step.name)} ${step.definition}`)
      return
    }
    case 'index': {
      const found = sql`select from pg_indexes
        where schemaname = current_schema() and tablename = ${step.table} and indexname = ${step.name}`
      if (await exists(tx, found)) return
      const unique = step.unique ? 'unique ' : ''
      await run(`create ${unique}index ${quoted(step.name)} on ${quoted(step.table)} ${step.definition}`)
      return
    }
    case 'no_index':
      await run(`drop index if exists ${quoted(step.name)}`)
      return
    case 'rows':
      await run(step.statement)
      return
  }
}

type Column = { name: string; nullable: boolean }

/** @param found the table's columns; none when there is no such table */
function tableStatements(step: Extract<Step, { kind: 'table' }>, found: Column[]): string[] {
  const name = quoted(step.table)
  const defined = Object.entries(step.columns)
  if (found.length === 0) {
    return [
      `create table ${name} (${defined.map(([column, type]) => `${quoted(column)} ${type}`).join(', ')})`,
    ]
  }
  return defined.flatMap(([column, definition]) => {
    const there = found.find(other => other.name === column)
    if (there === undefined) return [`alter table ${name} add column ${quoted(column)} ${definition}`]
    const nullable = !definition.includes('not null')
    if (there.nullable === nullable) return []
    return [`alter table ${name} alter column ${quoted(column)} ${nullable ? 'drop' : 'set'} not null`]
  })
}

async function columnsOf(tx: Transaction, table: string): Promise<Column[]> {
  const { rows } = await tx.execute<Column>(sql`
    select column_name as name, is_nullable = 'YES' as nullable from information_schema.columns
    where table_schema = current_schema() and table_name = ${table}`)
  return rows
}

const exists = async (tx: Transaction, query: SQL) => (await tx.execute(query)).rows.length > 0

/** Names in migrations.ts are ours; quoted because some are words of SQL. */
const quoted = (name: string) => `"${name}"`

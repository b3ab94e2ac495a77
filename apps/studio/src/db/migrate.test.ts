import { trainingMember } from '@mistudio/contract'
import { getTableName, is, type SQL, sql } from 'drizzle-orm'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databaseTargets } from '../../testing/db/databases.ts'
import { type Database, type OpenDatabase, openDatabase } from './connect.ts'
import { applyStep, migrate } from './migrate.ts'
import { migrations } from './migrations.ts'
import * as schema from './schema.ts'

const tables = Object.values(schema).filter(value => is(value, PgTable)) as PgTable[]
const steps = migrations.flatMap(migration => migration.steps)
const latest = migrations.at(-1)!.version

/** What PostgreSQL's own words are for drizzle's. */
const typeOf = (type: string) => type.replace('timestamp with time zone', 'timestamptz')

/** Everything that migrations make, as the database tells it. */
async function shapeOf(db: Database) {
  const all = async (query: SQL) => (await db.execute(query)).rows
  return {
    columns: await all(sql`
      select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns
      where table_schema = 'public' order by table_name, column_name`),
    constraints: await all(sql`
      select conrelid::regclass::text as table_name, conname, pg_get_constraintdef(oid) as definition from pg_constraint
      where connamespace = 'public'::regnamespace and contype <> 'n' order by 1, 2`),
    indexes: await all(sql`
      select tablename, indexname, indexdef from pg_indexes where schemaname = 'public' order by 1, 2`),
    extensions: await all(sql`select extname from pg_extension order by 1`),
  }
}

/** Takes away everything that was made. */
const empty = (db: Database) => db.execute(sql.raw('drop schema public cascade; create schema public'))

describe.each(databaseTargets())('migrations on $kind', target => {
  /** For the tests that empty it first. */
  let emptied: OpenDatabase
  beforeAll(async () => {
    emptied = await openDatabase(await target.create())
  })
  afterAll(() => emptied.close())

  it('make the tables that the schema says: columns, types, nullability, defaults, keys and indexes', async () => {
    const { db, close } = await openDatabase(await target.create({ migrated: false }))
    const found = await shapeOf(db)
    await close()
    for (const table of tables) {
      const { name, columns, indexes, foreignKeys, primaryKeys } = getTableConfig(table)
      const made = found.columns.filter(row => row.table_name === name)
      expect(
        made.map(row => [
          row.column_name,
          typeOf(String(row.data_type)),
          row.is_nullable === 'NO',
          row.column_default !== null,
        ]),
        name,
      ).toEqual(
        columns
          .map(column => [column.name, typeOf(column.getSQLType()), column.notNull, column.hasDefault])
          .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      )
      const constraints = found.constraints.filter(row => row.table_name === name)
      const keys = primaryKeys.flatMap(key => key.columns.map(column => column.name))
      const key = columns.filter(column => column.primary || keys.includes(column.name))
      const references = foreignKeys.map(foreign => {
        const { columns, foreignTable, foreignColumns } = foreign.reference()
        const rest = foreign.onDelete === 'cascade' ? ' ON DELETE CASCADE' : ''
        return (
          `FOREIGN KEY (${columns.map(column => column.name).join(', ')}) ` +
          `REFERENCES ${getTableName(foreignTable)}(${foreignColumns.map(column => column.name).join(', ')})${rest}`
        )
      })
      expect(constraints.map(row => row.definition).sort(), name).toEqual(
        [...references, `PRIMARY KEY (${key.map(column => column.name).join(', ')})`].sort(),
      )
      const made_indexes = found.indexes.filter(
        row => row.tablename === name && !String(row.indexname).endsWith('_pkey'),
      )
      expect(
        made_indexes.map(row => [row.indexname, String(row.indexdef).startsWith('CREATE UNIQUE')]),
        name,
      ).toEqual(
        indexes
          .map(({ config }) => [config.name, config.unique])
          .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      )
    }
    const known = new Set(tables.map(table => getTableConfig(table).name))
    expect(new Set(found.columns.map(row => row.table_name))).toEqual(known)
  })

  it('change nothing the second time', async () => {
    const place = await target.create()
    const first = await openDatabase(place)
    const shape = await shapeOf(first.db)
    expect(await migrate({ db: first.db })).toEqual({ from: latest, version: latest })
    // Nor where the version was lost.
    await first.db.delete(schema.meta)
    expect(await migrate({ db: first.db })).toEqual({ from: 0, version: latest })
    await first.close()
    const second = await openDatabase(place)
    expect(await shapeOf(second.db)).toEqual(shape)
    await second.close()
  })

  it('go on from wherever an earlier try ended', async () => {
    const { db } = emptied
    const shape = await shapeOf(db)
    for (const share of [0.1, 0.5, 0.9]) {
      await empty(db)
      await db.transaction(async tx => {
        for (const step of steps.slice(0, steps.length * share)) await applyStep({ tx, step })
      })
      await migrate({ db })
      expect(await shapeOf(db), `after ${share} of the steps`).toEqual(shape)
    }
  })

  it('mend columns, nullability, constraints and indexes one by one, and keep the rows', async () => {
    const { db, close } = await openDatabase(await target.create())
    const shape = await shapeOf(db)
    await db.execute(sql`insert into templates (id, kind, name, description, config, extra_metadata)
      values ('tpl_1', 'extraction', 'kept', '', '{}', '{}')`)
    const damages = [
      'alter table templates drop column created_at',
      'alter table templates alter column name drop not null',
      'alter table templates alter column kind drop not null, drop column created_at',
      'alter table datasets alter column text_field set not null',
      'alter table features drop constraint features_extraction_id_extractions_id_fk',
      'alter table events drop constraint events_pkey',
      'drop index saes_member_once',
      'drop index features_search; drop extension pg_trgm',
      'drop table jobs',
    ]
    for (const damage of damages) {
      await db.execute(sql.raw(`${damage}; delete from meta`))
      expect(await shapeOf(db), damage).not.toEqual(shape)
      await migrate({ db })
      expect(await shapeOf(db), damage).toEqual(shape)
    }
    expect(await db.select({ name: schema.templates.name }).from(schema.templates)).toEqual([
      { name: 'kept' },
    ])
    await close()
  })

  it('give a training of before families its settings as a record, its members names, and leave a new one alone', async () => {
    const { db } = emptied
    await empty(db)
    await migrate({ db, to: migrations.filter(({ version }) => version === 1) })
    const flat = {
      ...{ architecture: 'topk', d_sae: 16, k: 2, train_tokens: 1000, batch_size: 10 },
      ...{ learning_rate: null, normalisation: 'none', context_size: 16, seed: 7 },
    }
    const hook = 'blocks.0.hook_resid_post'
    const other = 'blocks.1.hook_resid_post'
    const figures = { loss: 1.5, fvu: 0.25, l0: 2, dead_latents: null, grad_norm: 0.5 }
    const members = [hook, other].map((hook_point, layer) => ({
      ...{ hook_point, layer, hook_type: 'resid_post' },
      ...figures,
    }))
    const json = (value: unknown) => sql`${JSON.stringify(value)}::jsonb`
    await db.execute(sql`insert into models (id, name, source, path, architecture, status, params_count, layers,
        d_model, vocab_size, context_length, hook_types)
      values ('m_1', 'tiny', 'demo', '', '', 'ready', 1, 1, 1, 1, 16, '[]')`)
    await db.execute(sql`insert into trainings (id, name, model_id, dataset_ids, layers, hook_types, hyperparameters,
        status, step, saes) values ('train_1', 'old', 'm_1', '[]', '[0]', '["resid_post"]', ${json(flat)},
        'completed', 100, ${json(members)})`)
    await db.execute(sql`insert into saes (id, name, source, training_id, model_id, hook_point, architecture, d_in,
        d_sae, status, path) values ('sae_1', 'one', 'training', 'train_1', 'm_1', ${hook}, 'topk', 1, 16, 'ready', '')`)
    await db.execute(sql`insert into events (channel, seq, event, data) values ('training/train_1', 1,
        'training:progress', ${json({ step: 50, saes: members })})`)
    const rows = async () => ({
      trainings: await db.select().from(schema.trainings),
      saes: await db.select().from(schema.saes),
      events: await db.select().from(schema.events),
    })
    await migrate({ db })
    const once = await rows()
    expect(once.trainings[0]).toMatchObject({
      hyperparameters: {
        family: 'topk',
        recipe: null,
        d_sae: 16,
        settings: { k: 2, normalisation: 'none' },
        train_tokens: 1000,
        batch_size: 10,
        context_size: 16,
        seed: 7,
        run: {},
      },
      sweep: {},
      dataset_weights: null,
      output_hook_type: null,
    })
    for (const member of once.trainings[0].saes) expect(trainingMember.parse(member)).toEqual(member)
    expect(once.trainings[0].saes).toMatchObject([
      { name: hook, inputs: [hook], d_sae: 16, status: 'completed', step: 100, fvu: 0.25, metrics: figures },
      { name: other },
    ])
    expect(once.saes[0]).toMatchObject({ member: hook, checkpoint: null })
    const told = once.events[0].data.saes as { name: string; step: number; status: string }[]
    expect(told.map(({ name, step, status }) => [name, step, status])).toEqual([
      [hook, 50, 'training'],
      [other, 50, 'training'],
    ])
    await db.delete(schema.meta)
    await migrate({ db })
    expect(await rows()).toEqual(once)
  })

  it('leave a database as it was when a step fails', async () => {
    const { db } = emptied
    await empty(db)
    const to = [
      { version: 1, steps: [...steps, { kind: 'extension' as const, name: 'there is no such extension' }] },
    ]
    await expect(migrate({ db, to })).rejects.toThrow()
    expect((await shapeOf(db)).columns).toEqual([])
  })

  it('do the versions that a database lacks, and no others', async () => {
    const { db, close } = await openDatabase(await target.create())
    const label = { kind: 'table' as const, table: 'features', columns: { label: 'text' } }
    const next = latest + 1
    // A step of an old version that would fail if it were done again.
    const to = [
      { version: latest, steps: [{ kind: 'extension' as const, name: 'none' }] },
      { version: next, steps: [label] },
    ]
    expect(await migrate({ db, to })).toEqual({ from: latest, version: next })
    await db.execute(sql`select label from features`)
    await close()
  })

  it('refuse a database of a newer program, and leave it alone', async () => {
    const place = await target.create()
    const first = await openDatabase(place)
    await first.db.update(schema.meta).set({ value: String(latest + 7) })
    await first.db.execute(sql`drop table jobs`)
    await first.close()
    await expect(openDatabase(place)).rejects.toMatchObject({
      name: 'InputError',
      details: { field: 'schema_version', found: String(latest + 7), expected: `${latest} or older` },
    })
  })

  it('are done once when several programs start at once', async () => {
    const { db } = emptied
    await empty(db)
    // The embedded database has one program; its transactions take turns all the same.
    const results = await Promise.all([1, 2, 3].map(() => migrate({ db })))
    expect(results.map(({ from }) => from).sort()).toEqual([0, latest, latest])
  })
})

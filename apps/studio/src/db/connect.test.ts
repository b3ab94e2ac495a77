import { count, eq, sql } from 'drizzle-orm'
import { PgBoss } from 'pg-boss'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databaseTargets } from '../../testing/db/databases.ts'
import { newId } from '../ids.ts'
import { insertChunked } from './chunked.ts'
import { type OpenDatabase, openDatabase, type Transaction } from './connect.ts'
import { datasets, extractions, features, models, saes } from './schema.ts'

const newDataset = (name: string): typeof datasets.$inferInsert => ({
  id: newId('dataset'),
  name,
  source: 'upload',
  format: 'txt',
  status: 'ready',
  path: 'datasets/x',
  size_bytes: 2 ** 40 + 1,
  documents: 1,
})

const targets = databaseTargets()

const outer = 'inside a transaction only its own handle can be used'

/** An extraction, and rows of its features. */
async function featureRows(tx: Transaction, rows: number): Promise<(typeof features.$inferInsert)[]> {
  const [model_id, sae_id, extraction_id] = [newId('model'), newId('sae'), newId('extraction')]
  const shape = { layers: 1, d_model: 8, vocab_size: 8, context_length: 8, hook_types: [], params_count: 1 }
  const ready = { name: 'x', path: 'x', status: 'ready' as const }
  await tx.insert(models).values({ id: model_id, ...ready, source: 'local', architecture: 'gpt2', ...shape })
  const sizes = { d_in: 8, d_sae: 8, hook_point: 'blocks.0.hook_resid_post', architecture: 'topk' }
  await tx.insert(saes).values({ id: sae_id, ...ready, source: 'folder', model_id, ...sizes })
  const config = {} as (typeof extractions.$inferInsert)['config']
  const row = { id: extraction_id, sae_id, model_id, dataset_ids: [], config, status: 'queued' as const }
  await tx.insert(extractions).values(row)
  return Array.from({ length: rows }, (_, feature) => ({
    extraction_id,
    feature,
    fired: feature,
    density: 0.5,
    max: 1,
    mean: 0.5,
    readability: Math.sin(feature),
    top_examples: 20,
    peak_tokens: [' the', ' a', ' of'],
    top_tokens: ['x', 'y', 'z'],
    snippet: { before: 'some text before', peak: ' peak', after: ' and after' },
    search_text: `${feature} the a of x y z some words that a person may look for`,
  }))
}

describe.each(targets)('a database on $kind', target => {
  let database: OpenDatabase
  beforeAll(async () => {
    database = await openDatabase(await target.create())
  })
  afterAll(() => database.close())
  const named = async (name: string) => {
    const [row] = await database.db.select({ rows: count() }).from(datasets).where(eq(datasets.name, name))
    return row.rows
  }

  it('says which it is and gives times as dates, bigints as numbers, JSON as values', async () => {
    expect(database.kind).toBe(target.kind)
    const created_at = new Date('2026-01-02T03:04:05.678Z')
    const given = { ...newDataset('types'), created_at }
    const [row] = await database.db.insert(datasets).values(given).returning()
    expect(row.created_at).toEqual(created_at)
    expect(row.size_bytes).toBe(2 ** 40 + 1)
    expect(row.bad_lines).toBe(0)
    const [defaulted] = await database.db.insert(datasets).values(newDataset('types')).returning()
    expect(Math.abs(defaulted.created_at.getTime() - Date.now())).toBeLessThan(3_600_000)
    const { rows } = await database.executeSql(`select '{"a": [1]}'::jsonb as json, now() as now`)
    expect(rows[0]).toMatchObject({ json: { a: [1] }, now: expect.any(Date) })
  })

  it('commits a transaction whole, and nothing of one that throws', async () => {
    await database.db.transaction(async tx => {
      await tx.insert(datasets).values([newDataset('whole'), newDataset('whole')])
    })
    const failing = database.db.transaction(async tx => {
      await tx.insert(datasets).values(newDataset('whole'))
      throw new Error('changed my mind')
    })
    await expect(failing).rejects.toThrow('changed my mind')
    expect(await named('whole')).toBe(2)
  })

  it('never mixes a query from outside into a transaction', async () => {
    const inserted = Promise.withResolvers<void>()
    const leave = Promise.withResolvers<void>()
    const transaction = database.db.transaction(async tx => {
      await tx.insert(datasets).values(newDataset('mixed'))
      inserted.resolve()
      await leave.promise
      throw new Error('rolled back')
    })
    await inserted.promise
    const seen = named('mixed')
    const written = database.db.insert(datasets).values(newDataset('mixed from outside'))
    await new Promise(resolve => setTimeout(resolve, 50))
    leave.resolve()
    await expect(transaction).rejects.toThrow('rolled back')
    await written
    expect(await seen).toBe(0)
    expect(await named('mixed from outside')).toBe(1)
  })

  it('refuses the outer handle inside a transaction, which goes on with its own', async () => {
    await database.db.transaction(async tx => {
      await expect(database.db.select().from(datasets)).rejects.toMatchObject({
        cause: { message: expect.stringContaining(outer) },
      })
      await expect(database.db.transaction(async () => 1)).rejects.toThrow(outer)
      await expect(database.executeSql('select 1')).rejects.toThrow(outer)
      await tx.insert(datasets).values(newDataset('own handle'))
    })
    expect(await named('own handle')).toBe(1)
  })

  it('lets work that a transaction left running use the handle afterwards', async () => {
    const ended = Promise.withResolvers<void>()
    let later: Promise<number> | undefined
    await database.db.transaction(async () => {
      later = ended.promise.then(() => named('own handle'))
    })
    ended.resolve()
    expect(await later).toBe(1)
  })

  it('does not call a transaction committed in which a statement failed', async () => {
    const swallowing = database.db.transaction(async tx => {
      await tx.insert(datasets).values(newDataset('swallowed'))
      await tx.execute(sql`select 1 / 0`).catch(() => {})
      return 'done'
    })
    await expect(swallowing).rejects.toThrow('a statement of this transaction failed')
    expect(await named('swallowed')).toBe(0)
  })

  it('takes back an inner transaction alone', async () => {
    await database.db.transaction(async tx => {
      await tx.insert(datasets).values(newDataset('outer part'))
      const inner = tx.transaction(async inner => {
        await inner.insert(datasets).values(newDataset('inner part'))
        await inner.execute(sql`select 1 / 0`)
      })
      await expect(inner).rejects.toThrow()
    })
    expect([await named('outer part'), await named('inner part')]).toEqual([1, 0])
  })

  it('is as before after statements that failed between BEGIN and COMMIT', async () => {
    await expect(database.executeSql('begin; select 1 / 0; commit')).rejects.toThrow('division by zero')
    await database.db.insert(datasets).values(newDataset('after a failure'))
    const { rows } = await database.executeSql('select $1::int + 1 as sum', [41])
    expect(rows).toEqual([{ sum: 42 }])
    // Had the transaction been left open, this would take the row away.
    await database.executeSql('rollback')
    expect(await named('after a failure')).toBe(1)
  })

  it('carries pg-boss: what is sent is fetched once', async () => {
    const { executeSql } = database
    const boss = new PgBoss({ db: { executeSql }, schema: 'boss', schedule: false, supervise: false })
    const errors: unknown[] = []
    boss.on('error', error => errors.push(error))
    await boss.start()
    await boss.createQueue('work', { retryLimit: 0 })
    const id = await boss.send('work', { answer: 42 })
    expect(await boss.fetch('work')).toMatchObject([{ id, data: { answer: 42 } }])
    expect(await boss.fetch('work')).toEqual([])
    await boss.stop({ graceful: false })
    expect(errors).toEqual([])
  })

  it('inserts many rows in chunks and answers others in between', async () => {
    const rows = await database.db.transaction(tx => featureRows(tx, 20_000))
    const { extraction_id } = rows[0]
    const countFeatures = async () => {
      const found = database.db.select({ rows: count() }).from(features)
      return (await found.where(eq(features.extraction_id, extraction_id)))[0].rows
    }
    let largestGap = 0
    let before = performance.now()
    const clock = setInterval(() => {
      largestGap = Math.max(largestGap, performance.now() - before)
      before = performance.now()
    }, 5)
    const started = performance.now()
    const inserting = insertChunked({ tx: database.db, table: features, rows })
    const answers: number[] = []
    let done = false
    const asking = (async () => {
      while (!done) answers.push(await countFeatures())
    })()
    await inserting
    done = true
    const seconds = (performance.now() - started) / 1000
    await asking
    clearInterval(clock)
    console.log(
      `${target.kind}: 20,000 features in ${seconds.toFixed(2)} s, ${answers.length} answers in between; ` +
        `largest gap of a 5 ms interval: ${largestGap.toFixed(0)} ms`,
    )
    expect(await countFeatures()).toBe(20_000)
    expect(answers.filter(answer => answer > 0 && answer < 20_000).length).toBeGreaterThan(5)
  })

  it('splits chunks for which a statement has no room, and says briefly what was wrong with one', async () => {
    const rows = await database.db.transaction(tx => featureRows(tx, 6000))
    const [first] = rows
    await database.db.transaction(tx => insertChunked({ tx, table: features, rows, chunkRows: 1e6 }))
    const found = await database.db
      .select({ rows: count() })
      .from(features)
      .where(eq(features.extraction_id, first.extraction_id))
    expect(found[0].rows).toBe(6000)
    const again = insertChunked({ tx: database.db, table: features, rows })
    await expect(again).rejects.toThrow(/^duplicate key value violates unique constraint "features_pkey"$/)
  })
})

describe.each(targets)('opening and closing on $kind', target => {
  it('keeps what was written, and closes after what was under way', async () => {
    const place = await target.create()
    const first = await openDatabase(place)
    const writing = first.db.transaction(async tx => {
      await tx.insert(datasets).values(newDataset('kept'))
      await new Promise(resolve => setTimeout(resolve, 50))
      await tx.insert(datasets).values(newDataset('kept'))
    })
    await new Promise(resolve => setTimeout(resolve, 10))
    await first.close()
    await writing
    const started = performance.now()
    const second = await openDatabase(place)
    console.log(
      `${target.kind}: an existing database opens in ${(performance.now() - started).toFixed(0)} ms`,
    )
    expect((await second.db.select().from(datasets)).map(row => row.name)).toEqual(['kept', 'kept'])
    await second.close()
    await expect(second.executeSql('select 1')).rejects.toThrow()
  })
})

const postgres = targets.find(({ kind }) => kind === 'postgres')
it.skipIf(postgres === undefined)(
  'a Postgres that breaks off in the middle of a transaction is an error, not the end of the process (needs Postgres)',
  async () => {
    const database = await openDatabase(await postgres!.create())
    const [opened, broken] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()]
    const transaction = database.db.transaction(async tx => {
      await tx.insert(datasets).values(newDataset('cut'))
      const { rows } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`)
      opened.resolve(rows[0].pid)
      await broken.promise
      await tx.insert(datasets).values(newDataset('cut'))
    })
    await database.executeSql('select pg_terminate_backend($1, 5000)', [await opened.promise])
    broken.resolve()
    await expect(transaction).rejects.toThrow()
    expect(await database.db.select().from(datasets)).toEqual([])
    await database.close()
  },
)

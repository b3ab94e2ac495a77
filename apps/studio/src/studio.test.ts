// The whole studio from start to end: what it refuses to start on, and what is left when it has ended.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createClient } from '@mistudio/contract'
import { InputError } from '@mistudio/files'
import { afterEach, describe, expect, test } from 'vitest'
import { databaseTargets } from '../testing/db/databases.ts'
import { jsonl } from '../testing/server.ts'
import { readLock } from './db/lock.ts'
import { type Studio, startStudio } from './studio.ts'

describe.each(databaseTargets())('on $kind', target => {
  let running: Studio[] = []
  let faults: unknown[] = []
  afterEach(async () => {
    for (const studio of running) await studio.close()
    running = []
    expect(faults).toEqual([])
    faults = []
  })

  type Options = Parameters<typeof startStudio>[0]
  async function start(options: Options): Promise<Studio> {
    const onError = (error: unknown) => void faults.push(error)
    const studio = await startStudio({ port: 0, demo: false, onError, ...options })
    running.push(studio)
    return studio
  }
  const refusal = async (options: Options): Promise<InputError> => {
    const error: unknown = await start(options).then(
      () => 'it started',
      (reason: unknown) => reason,
    )
    if (error instanceof InputError) return error
    throw new Error(`expected an InputError, got ${String(error)}`)
  }

  test('answers under its address, is found by its lock, and leaves nothing running', async () => {
    const folder = await target.create()
    const studio = await start(folder)
    expect(await (await fetch(`${studio.url}/health`)).json()).toEqual({ status: 'ok', version: '0.1.0' })
    expect(readLock(folder)).toEqual({ pid: process.pid, url: studio.url })
    await studio.close()
    await studio.close()
    expect(readLock(folder)).toBeUndefined()
    await expect(fetch(`${studio.url}/health`)).rejects.toThrow()
  })

  test('what was made is there after the next start; uploads that were broken off are gone', async () => {
    const folder = await target.create()
    const first = await start(folder)
    const made = await createClient({ baseUrl: first.url }).uploadDataset({
      file: new Blob([jsonl(['one'])]),
      fileName: 'a.jsonl',
    })
    await first.close()
    mkdirSync(join(folder.dataDir, 'uploads'), { recursive: true })
    writeFileSync(join(folder.dataDir, 'uploads', 'half'), 'half')
    const second = await start(folder)
    const { data } = await createClient({ baseUrl: second.url }).listDatasets()
    expect(data).toEqual([made])
    expect(existsSync(join(folder.dataDir, 'uploads'))).toBe(false)
  })

  test('a second one on the same folder is refused, naming the first', async () => {
    const folder = await target.create()
    const { url } = await start(folder)
    const error = await refusal(folder)
    expect(error.message).toContain(String(process.pid))
    expect(error.message).toContain(url)
    expect((await fetch(`${url}/health`)).status).toBe(200)
  })

  test('a taken port is named, and the folder is free again', async () => {
    const folder = await target.create()
    const taken = createServer()
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    try {
      const { details } = await refusal({ ...folder, port })
      expect(details).toMatchObject({ message: 'the port is taken', field: 'port', found: String(port) })
      expect(readLock(folder)).toBeUndefined()
    } finally {
      await new Promise(resolve => taken.close(resolve))
    }
    const studio = await start({ ...folder, port })
    expect(studio.url).toBe(`http://127.0.0.1:${port}`)
  })

  test('an address that others can reach is refused before anything is made', async () => {
    const { dataDir, ...rest } = await target.create()
    const fresh = join(dataDir, 'fresh')
    const { details } = await refusal({ ...rest, dataDir: fresh, host: '0.0.0.0' })
    expect(details).toMatchObject({ field: 'host', found: '0.0.0.0' })
    expect(existsSync(fresh)).toBe(false)
  })
})

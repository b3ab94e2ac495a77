// Datasets over HTTP, on both databases.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseTargets } from '../../testing/db/databases.ts'
import { eventually, jsonl, problemOf, startTestServer, type TestServer } from '../../testing/server.ts'

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer(target, { maxUploadBytes: 100_000 })
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })

  /** Files in the data folder that uploads make. */
  function leftovers(): string[] {
    const { dataDir } = server.services.storage
    return ['uploads', 'datasets']
      .map(name => join(dataDir, name))
      .flatMap(folder => (existsSync(folder) ? readdirSync(folder) : []))
  }
  const upload = (
    text: string | Uint8Array<ArrayBuffer>,
    fileName: string,
    fields?: Record<string, string>,
  ) => server.client.uploadDataset({ file: new Blob([text]), fileName, fields })

  test('a .jsonl file is stored byte by byte, counted, listed and deleted', async () => {
    const text = `${jsonl(['one', 'two', ''])}\nnot json\n`
    const made = await upload(text, 'my text.jsonl', { skip_bad_lines: 'true' })
    expect(made).toMatchObject({
      name: 'my text.jsonl',
      source: 'upload',
      format: 'jsonl',
      size_bytes: text.length,
      documents: 2,
      bad_lines: 1,
      text_field: 'text',
    })
    const path = server.services.storage.resolve(`datasets/${made.id}/text.jsonl`)
    expect(readFileSync(path, 'utf8')).toBe(text)
    expect(await server.client.getDataset({ params: { id: made.id } })).toEqual(made)
    const listed = await server.client.listDatasets()
    expect(listed.data).toContainEqual(made)
    expect(listed.pagination).toEqual({ limit: 50, offset: 0, total: 1, has_more: false })
    await server.client.deleteDataset({ params: { id: made.id } })
    expect(leftovers()).toEqual([])
    expect(await problemOf(server.client.getDataset({ params: { id: made.id } }))).toMatchObject({
      type: 'not_found',
      status: 404,
      found: made.id,
    })
  })

  test('a .txt file is one document; name and field are as given', async () => {
    const plain = await upload('Grüße\nand so on', 'a.TXT', { name: 'Greetings' })
    expect(plain).toMatchObject({ name: 'Greetings', format: 'txt', documents: 1, text_field: null })
    const other = await upload('{"content": "one"}', 'b.jsonl', { text_field: 'content' })
    expect(other).toMatchObject({ documents: 1, text_field: 'content' })
    const { data, pagination } = await server.client.listDatasets({ query: { limit: 1, offset: 0 } })
    expect(data).toEqual([other])
    expect(pagination).toEqual({ limit: 1, offset: 0, total: 2, has_more: true })
    for (const { id } of [plain, other]) await server.client.deleteDataset({ params: { id } })
  })

  const bytes = (...values: number[]) => Uint8Array.from(values)
  test.each<[string, string | Uint8Array<ArrayBuffer>, string, object]>([
    [
      'a line that is not JSON',
      '{"text": "one"}\nnot json',
      'a.jsonl',
      { line: 2, field: 'text', file: 'a.jsonl' },
    ],
    ['a line without the field', '{"txt": "one"}', 'a.jsonl', { line: 1, field: 'text' }],
    ['a field that is no text', '{"text": 1}', 'a.jsonl', { line: 1, found: 'a value of type number' }],
    ['one JSON document', '[{"text": "one"}]', 'a.jsonl', { line: 1 }],
    ['plain text called .jsonl', 'Call me Ishmael.', 'a.jsonl', { title: 'a line is not JSON' }],
    ['Latin-1', bytes(0x63, 0x61, 0x66, 0xe9), 'a.txt', { line: 1, title: 'bytes that are not UTF-8' }],
    ['gzip called .jsonl', bytes(0x1f, 0x8b, 8, 0, 0, 0), 'a.jsonl', { title: 'bytes that are not UTF-8' }],
    ['UTF-16 called .txt', bytes(0x61, 0, 0x62, 0), 'a.txt', { found: 'a NUL character' }],
    ['another extension', 'a,b', 'a.csv', { found: '.csv', expected: '.jsonl or .txt' }],
    ['nothing', '', 'a.jsonl', { title: 'the file holds no text', found: '0 bytes' }],
    ['blank documents', jsonl(['', ' ']), 'a.jsonl', { title: 'the file holds no text' }],
  ])('%s is refused, and nothing stays', async (_, text, fileName, wanted) => {
    expect(await problemOf(upload(text, fileName))).toMatchObject({
      type: 'invalid',
      status: 400,
      ...wanted,
    })
    expect(leftovers()).toEqual([])
  })

  test('only bad lines, unknown fields, two files, fields after the file, no file: refused', async () => {
    const bad = await problemOf(upload('no\nno', 'a.jsonl', { skip_bad_lines: 'true' }))
    expect(bad).toMatchObject({ found: '2 lines that cannot be used' })
    expect(await problemOf(upload('text', 'a.txt', { nmae: 'x' }))).toMatchObject({
      status: 400,
      field: 'nmae',
    })
    expect(await problemOf(upload('text', 'a.txt', { skip_bad_lines: 'maybe' }))).toMatchObject({
      field: 'skip_bad_lines',
      found: '"maybe"',
    })
    const post = async (parts: [string, string | Blob][]) => {
      const form = new FormData()
      for (const [name, value] of parts) {
        if (typeof value === 'string') form.append(name, value)
        else form.append(name, value, 'a.txt')
      }
      const response = await fetch(`${server.url}/api/v1/datasets`, { method: 'POST', body: form })
      return { status: response.status, problem: (await response.json()) as { found?: string } }
    }
    const file = new Blob(['some text'])
    expect(
      await post([
        ['file', file],
        ['file', file],
      ]),
    ).toMatchObject({ status: 413 })
    expect(
      await post([
        ['file', file],
        ['name', 'late'],
      ]),
    ).toMatchObject({ status: 400 })
    expect(await post([['text', file]])).toMatchObject({
      status: 400,
      problem: { found: 'a file named text' },
    })
    expect(await post([['name', 'x']])).toMatchObject({ status: 400, problem: { found: 'no file' } })
    expect(leftovers()).toEqual([])
    expect((await server.client.listDatasets()).pagination.total).toBe(0)
  })

  test('a body of another kind answers 415', async () => {
    const send = (headers: Record<string, string>, body: string) =>
      fetch(`${server.url}/api/v1/datasets`, { method: 'POST', headers, body })
    expect((await send({ 'content-type': 'application/json' }, '{}')).status).toBe(415)
    const { status } = await fetch(`${server.url}/api/v1/models`, { method: 'POST', body: new FormData() })
    expect(status).toBe(415)
  })

  test('a file beyond the limit answers 413, and nothing stays', async () => {
    const problem = await problemOf(upload(jsonl(['x'.repeat(100_000)]), 'a.jsonl'))
    expect(problem).toMatchObject({ type: 'too_large', status: 413, expected: 'at most 100000 bytes' })
    expect(leftovers()).toEqual([])
  })

  test('an upload that is broken off leaves nothing', async () => {
    const sent = request(`${server.url}/api/v1/datasets`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=xx', 'content-length': 50_000 },
    })
    sent.on('error', () => {})
    sent.write(
      '--xx\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"text": "one"}\n',
    )
    await eventually(leftovers).toHaveLength(1)
    sent.destroy()
    await eventually(leftovers).toEqual([])
  })
})

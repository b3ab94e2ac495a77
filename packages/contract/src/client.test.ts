// The typed client: what it sends, and how it reads a response, with a fake `fetch`.
import { expect, test } from 'vitest'
import { ApiError, createClient, urlOf } from './client.ts'
import { apiPrefix, type Route } from './route.ts'
import { type RouteName, routes } from './routes.ts'

type Sent = { url: string; init: RequestInit }

function answering(status: number, body: string | null) {
  const sent: Sent[] = []
  const fetch = (async (url: string, init: RequestInit) => {
    sent.push({ url, init })
    return new Response(body, { status })
  }) as unknown as typeof globalThis.fetch
  return { client: createClient({ baseUrl: 'http://studio', fetch }), sent }
}

test('has a function for every route, which sends its method to its path', async () => {
  const { client, sent } = answering(200, '{}')
  expect(Object.keys(client).sort()).toEqual(Object.keys(routes).sort())
  const names = (Object.keys(routes) as RouteName[]).filter(name => name !== 'uploadDataset')
  for (const name of names) {
    const call = client[name] as (request: object) => Promise<unknown>
    await call({ params: { id: 'x', kind: 'extraction' } })
    const route: Route = routes[name]
    const path = route.path.replace('{id}', 'x').replace('{kind}', 'extraction')
    expect(sent.at(-1)).toMatchObject({
      url: `http://studio${apiPrefix}${path}`,
      init: { method: route.method },
    })
  }
})

test('parts of a path and values of a query are escaped, what is not given is left out', () => {
  const url = urlOf(routes.getDataset, { id: 'a/b?c' }, {})
  expect(url).toBe('/api/v1/datasets/a%2Fb%3Fc')
  const query = { search: 'a b&c', limit: 3, min_density: undefined }
  expect(urlOf(routes.listFeatures, {}, query)).toBe('/api/v1/features?search=a+b%26c&limit=3')
})

test('a body is JSON and says so; without one there is no content type', async () => {
  const { client, sent } = answering(200, '{"id":"x"}')
  expect(await client.stopTraining({ params: { id: 'x' }, body: { keep: false } })).toEqual({ id: 'x' })
  expect(sent[0].init).toMatchObject({
    body: '{"keep":false}',
    headers: { 'content-type': 'application/json' },
  })
  await client.pauseTraining({ params: { id: 'x' } })
  expect(sent[1].init).not.toHaveProperty('body')
  expect(sent[1].init).not.toHaveProperty('headers')
})

test('an upload has its fields before its file', async () => {
  const { client, sent } = answering(201, '{}')
  const fields = { name: 'Mine', text_field: 'content' }
  await client.uploadDataset({ file: new Blob(['{}']), fileName: 'a.jsonl', fields })
  const form = sent[0].init.body as FormData
  expect([...form.keys()]).toEqual(['name', 'text_field', 'file'])
  expect((form.get('file') as File).name).toBe('a.jsonl')
})

test('an answer without content is undefined', async () => {
  const { client } = answering(204, null)
  expect(await client.deleteSae({ params: { id: 'x' } })).toBeUndefined()
})

const errorOf = async (status: number, body: string): Promise<ApiError> => {
  const error: unknown = await answering(status, body)
    .client.listSaes()
    .catch((reason: unknown) => reason)
  if (error instanceof ApiError) return error
  throw new Error(`expected an ApiError, got ${String(error)}`)
}

test('a problem is an error whose message names field, found and expected', async () => {
  const problem = {
    type: 'invalid',
    title: 'layers cannot be used',
    status: 400,
    field: 'layers',
    found: '9',
    expected: '0 to 7',
  }
  const error = await errorOf(400, JSON.stringify(problem))
  expect(error.problem).toEqual(problem)
  expect(error.message).toBe('layers cannot be used (field layers, found 9, expected 0 to 7)')
  expect((await errorOf(409, JSON.stringify({ ...problem, line: 3 }))).message).toContain('line 3')
  const bare = { type: 'busy', title: 'the studio ends', status: 503 }
  expect((await errorOf(503, JSON.stringify(bare))).message).toBe('the studio ends')
})

test.each(['<html>502 Bad Gateway</html>', '', '{"message":"no problem of ours"}', 'null'])(
  'a failure that is not a problem of ours is one all the same: %j',
  async body => {
    const { problem } = await errorOf(502, body)
    expect(problem).toEqual({ type: 'unreadable', title: 'the server answered 502', status: 502 })
  },
)

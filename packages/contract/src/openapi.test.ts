// The OpenAPI document: the table of routes and nothing else, in the structure required by OpenAPI 3.1.
import { expect, test } from 'vitest'
import { openapiDocument } from './openapi.ts'
import { apiPrefix, type Route } from './route.ts'
import { type RouteName, routes } from './routes.ts'

type Parameter = { in: string; name: string; required?: boolean; schema: object }
type Operation = {
  operationId: string
  summary: string
  parameters?: Parameter[]
  requestBody?: { required: boolean; content: Record<string, { schema: object }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>
}
type Document = {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, object> }
}

const document = openapiDocument() as Document
const names = Object.keys(routes) as RouteName[]
const pathOf = (route: Route) => `${apiPrefix}${route.path}`
const operationOf = (route: Route) => document.paths[pathOf(route)][route.method.toLowerCase()]
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

test('says that it is OpenAPI 3.1, and is JSON', () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/)
  expect(document.info).toMatchObject({ title: 'miStudio', version: expect.any(String) })
  expect(JSON.parse(JSON.stringify(document))).toEqual(document)
})

test('paths and methods are those of the table of routes and of the events', () => {
  const wanted = names.map(name => `${routes[name].method} ${pathOf(routes[name])}`)
  const found = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`)
  expect(found.sort()).toEqual([...wanted, `GET ${apiPrefix}/events`].sort())
  expect(new Set(wanted).size).toBe(names.length)
})

test('each operation has an id of its own, its parameters and a problem for what goes wrong', () => {
  const ids = operations.map(({ operation }) => operation.operationId)
  expect([...ids].sort()).toEqual([...names, 'events'].sort())
  for (const { path, operation } of operations) {
    const { operationId, parameters = [], responses, summary } = operation
    expect(summary, operationId).not.toBe('')
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const declared = parameters.filter(parameter => parameter.in === 'path')
    expect(declared.map(({ name }) => name).sort(), operationId).toEqual(inPath.sort())
    expect(declared.every(({ required }) => required === true)).toBe(true)
    const keys = parameters.map(parameter => `${parameter.in} ${parameter.name}`)
    expect(new Set(keys).size, operationId).toBe(keys.length)
    for (const parameter of parameters) {
      expect(['path', 'query']).toContain(parameter.in)
      expect(parameter.schema).toBeTypeOf('object')
    }
    for (const [status, response] of Object.entries(responses)) {
      expect(status).toMatch(/^([1-5]\d\d|default)$/)
      expect(response.description, operationId).toBeTypeOf('string')
    }
    expect(responses.default.content).toHaveProperty(['application/problem+json'])
  }
})

test.each(names)('%s: body, query and answer are those of the table', name => {
  const route: Route = routes[name]
  const { parameters = [], requestBody, responses } = operationOf(route)
  const type = route.upload !== undefined ? 'multipart/form-data' : route.body && 'application/json'
  expect(requestBody === undefined ? undefined : Object.keys(requestBody.content)).toEqual(type && [type])
  const query = parameters.filter(parameter => parameter.in === 'query').map(parameter => parameter.name)
  const shape = route.query === undefined ? {} : (route.query as unknown as { shape: object }).shape
  expect(query.sort()).toEqual(Object.keys(shape).sort())
  const success = Object.keys(responses).filter(status => status !== 'default')
  expect(success).toEqual([String(route.status ?? (route.response === undefined ? 204 : 200))])
  const content = responses[success[0]].content
  expect(content && Object.keys(content)).toEqual(route.response && ['application/json'])
})

test('every reference leads to a schema, and every schema is referred to', () => {
  const referred = new Set<string>()
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      if (key === '$ref') referred.add(String(inner))
      else look(inner)
    }
  }
  look(document)
  const there = Object.keys(document.components.schemas).map(name => `#/components/schemas/${name}`)
  expect([...referred].sort()).toEqual(there.sort())
})

/** Keywords of OpenAPI 3.0 that JSON Schema 2020-12, and so 3.1, no longer has. */
test('schemas are JSON Schema: no nullable, exclusive bounds are numbers', () => {
  const look = (value: unknown, place: string): void => {
    if (typeof value !== 'object' || value === null) return
    const known = value as Record<string, unknown>
    expect(known.nullable, place).toBeUndefined()
    for (const bound of ['exclusiveMinimum', 'exclusiveMaximum']) {
      expect(['undefined', 'number'], `${place}.${bound}`).toContain(typeof known[bound])
    }
    for (const [key, inner] of Object.entries(known)) look(inner, `${place}.${key}`)
  }
  look(document, 'document')
})

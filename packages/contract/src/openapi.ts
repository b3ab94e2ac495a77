// The OpenAPI 3.1 document, generated from the table of routes.
import { z } from 'zod'
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi'
import { problem } from './base.ts'
import { eventsQuery, studioEvent } from './events.ts'
import { apiPrefix, type Route } from './route.ts'
import { routes } from './routes.ts'

export function openapiDocument(): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {}
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const path = `${apiPrefix}${route.path}`
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(name, route) }
  }
  paths[`${apiPrefix}/events`] = {
    get: {
      operationId: 'events',
      summary: 'Events of a channel as server-sent events; the same path as a WebSocket takes subscriptions',
      requestParams: { query: eventsQuery },
      responses: {
        '200': { description: 'events', content: { 'text/event-stream': { schema: studioEvent } } },
        default: failed,
      },
    },
  }
  return createDocument({
    openapi: '3.1.0',
    info: { title: 'miStudio', version: '1', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths: paths as ZodOpenApiPathsObject,
  })
}

const failed = {
  description: 'what was wrong: field, found, expected',
  content: { 'application/problem+json': { schema: problem } },
}

function operation(name: string, route: Route): ZodOpenApiOperationObject {
  const status = String(route.status ?? (route.response === undefined ? 204 : 200))
  return {
    operationId: name,
    summary: route.summary,
    tags: [route.path.split('/')[1]],
    requestParams: {
      ...(route.params !== undefined && { path: route.params }),
      ...(route.query !== undefined && { query: route.query as z.ZodObject }),
    },
    ...bodyOf(route),
    responses: {
      [status]: {
        description: route.summary,
        ...(route.response !== undefined && { content: { 'application/json': { schema: route.response } } }),
      },
      default: failed,
    },
  } as ZodOpenApiOperationObject
}

function bodyOf(route: Route): object {
  if (route.body !== undefined) {
    return { requestBody: { required: true, content: { 'application/json': { schema: route.body } } } }
  }
  if (route.upload === undefined) return {}
  const schema = route.upload.extend({ file: z.string().meta({ format: 'binary' }) })
  return { requestBody: { required: true, content: { 'multipart/form-data': { schema } } } }
}

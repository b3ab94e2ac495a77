// What a route of the API is.
import type { z } from 'zod'

/** Before every path. */
export const apiPrefix = '/api/v1'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

export type Route = {
  method: Method
  /** Under /api/v1, with `{name}` for parameters. */
  path: string
  summary: string
  params?: z.ZodObject
  query?: z.ZodType
  /** JSON body. */
  body?: z.ZodType
  /** Fields of a multipart body whose one file part is `file`. */
  upload?: z.ZodObject
  /** Of the response; undefined: 204. */
  response?: z.ZodType
  /** Default 200, or 204 without a response. */
  status?: number
}

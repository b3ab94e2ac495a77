// Formats of texts and SAEs: what upload and import offer.
import { formatViews } from '../domain/formats.ts'
import type { Handlers } from './register.ts'

export const formatHandlers = (): Pick<Handlers, 'listFormats'> => ({
  listFormats: async () => formatViews(),
})

// Formats as the API gives them: the engine's lists of document sources and SAE formats.
import { documentSources } from '@mistudio/corpus'
import { saeFormats } from '@mistudio/sae'
import type { Handlers } from './register.ts'

export const formatHandlers = (): Pick<Handlers, 'listFormats'> => ({
  async listFormats() {
    return {
      texts: documentSources.map(({ name, extensions, summary, hasFields }) => ({
        name,
        extensions: [...extensions],
        summary,
        has_fields: hasFields,
      })),
      saes: saeFormats.map(({ name, summary, save }) => ({ name, summary, writes: save !== undefined })),
    }
  },
})

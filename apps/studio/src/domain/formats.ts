// Formats as the API gives them: the engine's lists of document sources and SAE formats.
import type { Formats } from '@mistudio/contract'
import { documentSources } from '@mistudio/corpus'
import { saeFormats } from '@mistudio/sae'

export const formatViews = (): Formats => ({
  texts: documentSources.map(({ name, extensions, summary, hasFields }) => ({
    name,
    extensions: [...extensions],
    summary,
    has_fields: hasFields,
  })),
  saes: saeFormats.map(({ name, summary, save }) => ({ name, summary, writes: save !== undefined })),
})

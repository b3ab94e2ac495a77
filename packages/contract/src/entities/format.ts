// Formats of files: which texts and SAEs this server reads. The lists are the engine's (document sources, SAE formats);
// the contract only defines an entry's shape, so a new format needs no change here.
import { z } from 'zod'

export const formatName = z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'the name of a format')

export const textFormat = z
  .strictObject({
    name: formatName,
    extensions: z.array(z.string()).meta({ description: 'file extensions, with the dot' }),
    summary: z.string(),
    has_fields: z.boolean().meta({ description: 'documents have fields, one of which is the text' }),
  })
  .meta({ id: 'TextFormat' })
export type TextFormat = z.infer<typeof textFormat>

export const saeFormat = z
  .strictObject({
    name: formatName,
    summary: z.string().meta({ description: 'which files make up such an SAE' }),
    writes: z.boolean().meta({ description: 'SAEs can also be written in it' }),
  })
  .meta({ id: 'SaeFormat' })
export type SaeFormat = z.infer<typeof saeFormat>

export const formats = z
  .strictObject({ texts: z.array(textFormat), saes: z.array(saeFormat) })
  .meta({ id: 'Formats' })
export type Formats = z.infer<typeof formats>

// Templates: a configuration under a name. Kinds besides `extraction` come with their pages.
import { z } from 'zod'
import { idOf, name, time } from '../base.ts'
import { extractionConfig } from './extraction.ts'

export const templateKinds = ['extraction'] as const

export const template = z
  .strictObject({
    id: idOf('template'),
    kind: z.enum(templateKinds),
    name,
    description: z.string().max(2000),
    config: extractionConfig,
    extra_metadata: z
      .record(z.string(), z.json())
      .meta({ description: 'SAE-specific settings, such as hook types and widths it was made for' }),
    created_at: time,
  })
  .meta({ id: 'Template' })
export type Template = z.infer<typeof template>

export const templateRequest = z
  .strictObject({
    name: name.optional().meta({ description: 'default: generated from the configuration' }),
    description: z.string().max(2000).default(''),
    config: extractionConfig,
    extra_metadata: z.record(z.string().max(100), z.json()).default({}),
  })
  .meta({ id: 'TemplateRequest' })

// The parts of every entity: ids, times, pages, errors.
import { z } from 'zod'

/** An id is a prefix for its kind and 20 lower-case letters and digits. */
export const idPrefixes = {
  dataset: 'ds',
  tokenization: 'tok',
  model: 'm',
  training: 'train',
  sae: 'sae',
  extraction: 'extr',
  batch: 'batch',
  template: 'tpl',
  job: 'job',
} as const

export type IdKind = keyof typeof idPrefixes

export const idOf = (kind: IdKind) =>
  z
    .string()
    .regex(new RegExp(`^${idPrefixes[kind]}_[0-9a-z]{20}$`), `an id like ${idPrefixes[kind]}_…`)
    .meta({ description: `id of a ${kind}` })

/** A feature's id is its extraction's with another prefix and the feature's number, so it is unique. */
export const featureId = z
  .string()
  .regex(/^feat_[0-9a-z]{20}_(0|[1-9][0-9]{0,7})$/, 'an id like feat_…_17')
  .meta({ description: 'id of a feature' })

export function featureIdOf(options: { extractionId: string; feature: number }): string {
  return `feat_${options.extractionId.slice(idPrefixes.extraction.length + 1)}_${options.feature}`
}

export function parseFeatureId(id: string): { extractionId: string; feature: number } {
  const [, extraction, feature] = id.split('_')
  return { extractionId: `${idPrefixes.extraction}_${extraction}`, feature: Number(feature) }
}

/** ISO 8601 in UTC. */
export const time = z.iso.datetime()
export const share = z.number().min(0).max(1)
export const count = z.number().int().min(0)
export const name = z.string().trim().min(1).max(200)

export const hookTypes = ['resid_pre', 'resid_mid', 'resid_post', 'attn_out', 'mlp_out'] as const
export const hookType = z.enum(hookTypes).meta({
  description: 'where in a block: `blocks.{layer}.hook_{hook_type}` in TransformerLens names',
})
export type HookType = z.infer<typeof hookType>
export const layer = z.number().int().min(0).max(1023)

export const hookPointOf = (options: { layer: number; hookType: HookType }) =>
  `blocks.${options.layer}.hook_${options.hookType}`

/** @returns undefined for a hook point outside a block's residual stream and its parts */
export function parseHookPoint(hookPoint: string): { layer: number; hookType: HookType } | undefined {
  const found = /^blocks\.(\d+)\.hook_(\w+)$/.exec(hookPoint)
  const type = hookTypes.find(known => known === found?.[2])
  return found === null || type === undefined ? undefined : { layer: Number(found[1]), hookType: type }
}

export const paging = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  offset: z.coerce.number().int().min(0).default(0),
})

export const pagination = z.strictObject({ limit: count, offset: count, total: count, has_more: z.boolean() })

/** The envelope of every list. */
export const pageOf = <T extends z.ZodType>(item: T) => z.strictObject({ data: z.array(item), pagination })

/** RFC 9457, with what was found and what is expected. Content type `application/problem+json`. */
export const problem = z
  .strictObject({
    type: z
      .string()
      .meta({ description: 'a short name: not_found, invalid, illegal_state, conflict, busy …' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().optional(),
    file: z.string().optional(),
    line: z.number().int().optional().meta({ description: 'from 1' }),
    field: z.string().optional(),
    found: z.string().optional(),
    expected: z.string().optional(),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof problem>

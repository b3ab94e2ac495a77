// Advice before a training starts: what it will need on this machine, and which settings look wrong.
import { z } from 'zod'
import { count } from '../base.ts'
import { settingValue } from './family.ts'

const bytes = count.meta({ description: 'bytes' })

/** A value to try instead of one that cannot work or looks wrong. */
export const suggestion = z
  .strictObject({
    field: z.string().meta({ description: 'd_sae, batch_size, members or the name of a setting' }),
    value: settingValue,
    reason: z.string(),
  })
  .meta({ id: 'Suggestion' })
export type Suggestion = z.infer<typeof suggestion>

export const advice = z
  .strictObject({
    saes: count,
    steps: count,
    parameters: count.meta({ description: 'of all SAEs together' }),
    memory: z.strictObject({
      model: bytes,
      window: bytes,
      learners: bytes,
      total: bytes,
      available: bytes.meta({ description: 'of this machine now' }),
    }),
    disk: z.strictObject({ checkpoints: bytes, saes: bytes, total: bytes, available: bytes }),
    time: z
      .strictObject({
        capture_seconds: z.number(),
        step_seconds: z.number(),
        total_seconds: z.number(),
        tokens_per_second: z.number(),
      })
      .nullable()
      .meta({ description: 'null: nothing was measured' }),
    measured: z
      .strictObject({
        gflops: z.number(),
        capture_tokens_per_second: z.number().nullable(),
        seconds: z.number(),
      })
      .nullable()
      .meta({ description: 'what the probe found on this machine' }),
    busy: z.boolean().meta({ description: 'a job is running here, so measured speeds are too low' }),
    fits: z.boolean(),
    refusal: z.string().nullable().meta({ description: 'why it cannot be started' }),
    suggestions: z.array(suggestion).meta({ description: 'what would fit' }),
    warnings: z.array(
      z.strictObject({ field: z.string(), message: z.string(), suggestion: suggestion.nullable() }),
    ),
    reasons: z.array(z.string()).meta({ description: 'how the suggested values are derived' }),
  })
  .meta({ id: 'Advice' })
export type Advice = z.infer<typeof advice>

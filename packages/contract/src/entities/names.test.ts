// Users read names, never ids: every reference by id comes with a name.
import { expect, test } from 'vitest'
import type { z } from 'zod'
import { tokenization } from './dataset.ts'
import { extraction } from './extraction.ts'
import { sae } from './sae.ts'
import { training } from './training.ts'

const entities: Record<string, z.ZodObject> = { tokenization, training, sae, extraction }

test.each(Object.keys(entities))('%s: model, datasets and SAE have names beside their ids', name => {
  const fields = Object.keys(entities[name].shape)
  for (const field of fields) {
    const referred = /^(model|dataset|sae)_id(s?)$/.exec(field)
    if (referred !== null) expect(fields).toContain(`${referred[1]}_name${referred[2]}`)
  }
  expect(fields).toContain('model_name')
})

test('SAEs and extractions do without a training', () => {
  for (const entity of [sae, extraction]) {
    expect(entity.shape.training_id.safeParse(null).success).toBe(true)
    expect(entity.shape.training_id.safeParse(undefined).success).toBe(false)
  }
})

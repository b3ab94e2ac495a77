// What `sae recipes` and `sae families` say, for programs and for people.
import type { Recipe } from '@mistudio/training'
import { describe, expect, it } from 'vitest'
import type { Command, JobCommand, JobContext } from '../frame/command.ts'
import { saeFamilies } from './sae_families.ts'
import { saeRecipes } from './sae_recipes.ts'

type ShownFamily = {
  name: string
  settings: { name: string; own: boolean; default: unknown; source?: string }[]
}

const context: JobContext = { progress: () => {}, note: () => {}, signal: { stopped: () => false } }

/** The result of a command for a program, and as it is shown to a person. */
async function run<Result>(command: Command, spec: unknown): Promise<{ result: Result; text: string }> {
  const { job, present } = command as JobCommand
  const result = await job(spec, context)
  return { result: result as Result, text: await present(result) }
}

describe('sae recipes', () => {
  it('gives name, family, source and what is set, and nothing else', async () => {
    const { result: recipes } = await run<Recipe[]>(saeRecipes, {})
    expect(recipes.length).toBeGreaterThan(20)
    for (const recipe of recipes) expect(Object.keys(recipe)).toEqual(['name', 'family', 'source', 'sets'])
    expect(recipes.find(({ name }) => name === 'openai')).toMatchObject({
      family: 'topk',
      sets: { k: 32, k_aux: 256, batch_size: 131_072 },
    })
  })

  it('says in plain text what each sets', async () => {
    const { text } = await run(saeRecipes, {})
    expect(text).toMatch(/^gemma_scope {2}\(jumprelu\)$/m)
    expect(text).toContain('prefix_fractions=0.0625,0.125,0.25,0.5,1')
    expect(text).toContain('sparsity_warm_up_steps=null')
  })
})

describe('sae families', () => {
  it('gives every setting of every family with default and source', async () => {
    const { result: families } = await run<ShownFamily[]>(saeFamilies, { family: null })
    expect(families.map(({ name }) => name)).toContain('cross_layer_transcoder')
    const gated = families.find(({ name }) => name === 'gated')!
    expect(gated.settings.find(({ name }) => name === 'frozen_decoder')).toMatchObject({
      own: true,
      default: true,
    })
    expect(gated.settings.find(({ name }) => name === 'adam_beta1')).toMatchObject({ own: false, default: 0 })
    expect(gated.settings.every(({ source }) => source !== undefined)).toBe(true)
  })

  it('shows one in full, and says which there are when it does not exist', async () => {
    const { text } = await run(saeFamilies, { family: 'topk' })
    expect(text).toContain('k=32 latents per token')
    expect(text).toContain('source: Gao et al. 2024')
    await expect(run(saeFamilies, { family: 'topkk' })).rejects.toThrow(/there is no family topkk.*topk/)
  })
})

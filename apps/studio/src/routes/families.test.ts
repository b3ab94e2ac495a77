// Families, recipes and metrics over HTTP, and trainings of them: hook points, variants, recipes and what is refused.
import type { Dataset, Model, Training } from '@mistudio/contract'
import { metricTable } from '@mistudio/evaluation'
import { families, memberFields, recipes, runFields, wireName } from '@mistudio/training'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  addDemoModel,
  addText,
  problemOf,
  startTestServer,
  type TestServer,
  trainingBody,
} from '../../testing/server.ts'

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  let model: Model
  let text: Dataset
  beforeAll(async () => {
    server = await startTestServer(target)
    model = await addDemoModel(server)
    text = await addText(server)
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })

  const given = { d_sae: 16, train_tokens: 1500, batch_size: 1024, context_size: 64 }
  const start = (changes: object, hyperparameters: object = {}): Promise<Training> =>
    server.client.createTraining({
      body: {
        ...trainingBody(model.id, [text.id]),
        ...changes,
        hyperparameters: { ...given, ...hyperparameters },
      },
    })

  test('every family is there with each of its settings, its paper and its use of hook points', async () => {
    const { data, member_fields, run_fields, groups } = await server.client.listFamilies()
    expect(data.map(({ name }) => name)).toEqual(families.map(({ name }) => name))
    for (const [i, { fields, hooks, paper, defaults }] of data.entries()) {
      const family = families[i]
      expect(fields.map(({ name }) => name)).toEqual(Object.keys(family.fields).map(wireName))
      expect({ hooks, paper }).toEqual({ hooks: family.hooks, paper: family.paper })
      expect(Object.keys(defaults)).toEqual(Object.keys(family.defaults).map(wireName))
      for (const { group } of fields) expect(group).toBe('family')
    }
    expect(member_fields.map(({ name }) => name)).toEqual(Object.keys(memberFields).map(wireName))
    expect(run_fields.map(({ name }) => name)).toEqual(Object.keys(runFields).map(wireName))
    for (const { group, help, label } of member_fields) {
      expect(groups).toContain(group)
      expect(Math.min(help.length, label.length)).toBeGreaterThan(0)
    }
    const k = data.find(({ name }) => name === 'topk')!.fields.find(({ name }) => name === 'k')
    expect(k).toMatchObject({ kind: 'integer', default: 32, min: 1, unit: 'latents per token' })
  })

  test('recipes say what they set of the SAE and of the run; metrics say what they mean', async () => {
    const { data } = await server.client.listRecipes()
    expect(data.map(({ name }) => name)).toEqual(recipes.map(({ name }) => name))
    for (const [i, { sets, run, source }] of data.entries()) {
      expect({ ...sets, ...run }).toEqual(recipes[i].sets)
      expect(source.length).toBeGreaterThan(0)
      expect(run).not.toHaveProperty('learning_rate')
    }
    const metrics = (await server.client.listMetrics()).data
    expect(metrics.map(({ name }) => name)).toEqual(Object.keys(metricTable))
    expect(metrics.find(({ name }) => name === 'fvu')).toMatchObject({ better: 'lower', group: 'quality' })
    expect(metrics.find(({ name }) => name === 'sparsity')).toMatchObject({ group: 'loss' })
  })

  test('layers × hook types × variants are members with names of their own', async () => {
    const training = await start({ sweep: { k: [2, 4] } }, { settings: { normalisation: 'none' } })
    expect(training.saes.map(({ name, variant }) => [name, variant])).toEqual(
      [0, 1].flatMap(layer =>
        ['resid_post', 'mlp_out'].flatMap(type =>
          [2, 4].map(k => [`blocks.${layer}.hook_${type}-k=${k}`, { k }]),
        ),
      ),
    )
    expect(training.saes[1]).toMatchObject({ family: 'topk', d_sae: 16, status: 'pending', layer: 0 })
    expect(training.name).toBe('mistudio-demo · layers 0, 1 · resid_post, mlp_out · 2 × k')
  })

  test('a transcoder pairs its hook points by layer, a crosscoder joins the layers of a hook type', async () => {
    const pairs = await start(
      { hook_types: ['resid_mid'], output_hook_type: 'mlp_out' },
      { family: 'transcoder' },
    )
    expect(pairs.saes.map(({ inputs, outputs }) => [inputs, outputs])).toEqual(
      [0, 1].map(layer => [[`blocks.${layer}.hook_resid_mid`], [`blocks.${layer}.hook_mlp_out`]]),
    )
    const joint = await start({ hook_types: ['resid_post', 'mlp_out'] }, { family: 'crosscoder' })
    expect(joint.saes.map(({ name, inputs, layer }) => [name, inputs.length, layer])).toEqual([
      ['blocks.0,1.hook_resid_post', 2, null],
      ['blocks.0,1.hook_mlp_out', 2, null],
    ])
    const layers = await start(
      { hook_types: ['resid_mid'], output_hook_type: 'mlp_out' },
      { family: 'cross_layer_transcoder' },
    )
    expect(layers.saes.map(({ name }) => name)).toEqual(['blocks.0,1.hook_resid_mid~blocks.0,1.hook_mlp_out'])
  })

  test('a recipe brings its family and its batch; what is given beside it wins', async () => {
    const recipe = recipes.find(({ sets }) => typeof sets.batch_size === 'number' && sets.batch_size !== 512)!
    const { batch_size: _, ...rest } = given
    const body = (hyperparameters: object) =>
      server.client.createTraining({
        body: {
          ...trainingBody(model.id, [text.id]),
          hyperparameters: { ...rest, d_sae: 4096, recipe: recipe.name, ...hyperparameters },
        },
      })
    const plain = (await body({})).hyperparameters
    expect(plain).toMatchObject({
      recipe: recipe.name,
      family: recipe.family,
      batch_size: recipe.sets.batch_size,
      settings: {},
    })
    expect((await body({ batch_size: 512 })).hyperparameters.batch_size).toBe(512)
    expect(await problemOf(body({ family: 'p_anneal' }))).toMatchObject({
      field: 'hyperparameters.recipe',
      expected: `the family ${recipe.family}, or another recipe`,
    })
  })

  test.each<[string, object, object, object]>([
    [
      'a family that is not there',
      {},
      { family: 'topkk' },
      { field: 'hyperparameters.family', expected: /topk/ },
    ],
    [
      'a recipe that is not there',
      {},
      { recipe: 'gemma' },
      { field: 'hyperparameters.recipe', expected: /gemma_scope/ },
    ],
    [
      'a setting of another family',
      {},
      { family: 'standard', settings: { k: 4 } },
      { field: 'hyperparameters.settings.k and hyperparameters.family' },
    ],
    [
      'a setting out of its bounds',
      {},
      { settings: { k: 0 } },
      { field: 'hyperparameters.settings.k', found: '0' },
    ],
    [
      'k above d_sae',
      {},
      { settings: { k: 17 } },
      { field: 'hyperparameters.settings.k and hyperparameters.d_sae' },
    ],
    ['a mistyped setting', {}, { settings: { learning_rat: 1 } }, { expected: /learning_rate/ }],
    [
      'a swept value out of bounds',
      { sweep: { k: [2, 64] } },
      {},
      { field: 'hyperparameters.settings.k and hyperparameters.d_sae' },
    ],
    ['a value swept twice', { sweep: { k: [2, 2] } }, {}, { field: 'hyperparameters.settings.k' }],
    [
      'a setting of the run that is not there',
      {},
      { run: { keep: 1 } },
      { field: 'hyperparameters.settings.keep' },
    ],
    [
      'a setting of the run out of bounds',
      {},
      { run: { keep_last: 0 } },
      { field: 'hyperparameters.run.keep_last' },
    ],
    ['a transcoder with one hook point', {}, { family: 'transcoder' }, { field: 'output_hook_type' }],
    ['an output for an SAE', { output_hook_type: 'mlp_out' }, {}, { field: 'output_hook_type' }],
    [
      'a crosscoder of one layer',
      { layers: [0] },
      { family: 'crosscoder' },
      { field: 'hook_types and hyperparameters.family' },
    ],
    ['weights that are not one a dataset', { dataset_weights: [1, 2] }, {}, { field: 'dataset_weights' }],
  ])('%s is refused by name', async (_, changes, hyperparameters, wanted) => {
    const before = (await server.client.listTrainings()).pagination.total
    const expected = Object.fromEntries(
      Object.entries(wanted).map(([key, value]) => [
        key,
        value instanceof RegExp ? expect.stringMatching(value) : value,
      ]),
    )
    expect(await problemOf(start(changes, hyperparameters))).toMatchObject({ status: 400, ...expected })
    expect((await server.client.listTrainings()).pagination.total).toBe(before)
  })

  test('advice measures this machine once, says what fits, and refuses what a start would refuse', async () => {
    const { dataset_ids: _, ...body } = trainingBody(model.id, [text.id])
    const ask = (changes: object, hyperparameters: object = {}) =>
      server.client.adviseTraining({
        body: { ...body, ...changes, hyperparameters: { ...given, d_sae: 64, ...hyperparameters } },
      })
    const quick = await ask({ probe: false })
    expect(quick).toMatchObject({ saes: 4, steps: 2, fits: true, time: null, measured: null, busy: false })
    const full = await ask({})
    expect(full.measured!.gflops).toBeGreaterThan(0)
    expect(full.measured!.capture_tokens_per_second).toBeGreaterThan(0)
    expect(full.time!.total_seconds).toBeGreaterThan(0)
    expect(await ask({ probe: false })).toMatchObject({ measured: full.measured })
    const huge = await ask({ probe: false }, { d_sae: 1_048_576, batch_size: 4096 })
    expect(huge.fits).toBe(false)
    expect(huge.suggestions.map(({ field }) => field)).toContain('d_sae')
    const before = (await server.client.listTrainings()).pagination.total
    const unfit = server.client.createTraining({
      body: {
        ...body,
        dataset_ids: [text.id],
        hyperparameters: { ...given, d_sae: 1_048_576, batch_size: 4096 },
      },
    })
    expect(await problemOf(unfit)).toMatchObject({
      status: 400,
      title: 'this training does not fit this machine',
      field: expect.stringContaining('hyperparameters.d_sae'),
      found: expect.stringMatching(/of memory and .* is free/),
      expected: expect.stringMatching(/d_sae at most \d+/),
    })
    expect((await server.client.listTrainings()).pagination.total).toBe(before)
    const loud = await ask({ probe: false }, { family: 'standard', settings: { sparsity_coefficient: 500 } })
    expect(loud.warnings).toMatchObject([{ field: 'sparsity_coefficient' }])
    expect(await problemOf(ask({ probe: false }, { family: 'transcoder' }))).toMatchObject({
      field: 'output_hook_type',
    })
  }, 60_000)
})

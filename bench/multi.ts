// Twelve SAEs in one pass over the demo model: three layers, four k. The pass may take 1.1 times what one capture and
// twelve steps take, each measured apart, and twelve single runs must take at least 2.3 times as long as it.
//   node bench/multi.ts [--tokens 262144] [--d-sae 1024] [--rounds 3] [--data-dir DIR]
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createActivationBuffer } from '@mistudio/capture'
import { openWorkerPool } from '@mistudio/tensor'
import {
  completeMember,
  createLearner,
  initialWeights,
  type TrainMember,
  trainSaes,
} from '@mistudio/training'
import { contextsPerCall, openDemo } from './shared/demo_source.ts'
import { machine, markdown, show, spread } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '262144' },
    'd-sae': { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '3' },
    'data-dir': { type: 'string', default: 'data' },
  },
})
const trainTokens = Number(values.tokens)
const dSae = Number(values['d-sae'])
const batchSize = 1024
const windowContexts = 512
const seed = 0
const width = 256
const hooks = [2, 4, 6].map(layer => `blocks.${layer}.hook_resid_post`)
const members: TrainMember[] = hooks.flatMap(hook =>
  [8, 16, 32, 64].map(k => ({
    name: `${hook}-k=${k}`,
    family: 'topk',
    inputs: [hook],
    outputs: [],
    dSae,
    settings: { k },
  })),
)

const folder = join(values['data-dir'], 'bench-multi')
mkdirSync(folder, { recursive: true })
const pool = await openWorkerPool({ count: 2 })
const demo = await openDemo({ pool, folder, cacheDir: join(values['data-dir'], 'cache') })
const figures = {
  pass: [] as number[],
  single: [] as number[],
  capture: [] as number[],
  steps: [] as number[],
}
for (let round = 0; round < Number(values.rounds); round++) {
  figures.pass.push(await train(members))
  let single = 0
  for (const member of members) single += await train([member])
  figures.single.push(single)
  const { capture, steps } = await terms()
  figures.capture.push(capture)
  figures.steps.push(steps)
  const of = (name: keyof typeof figures) => figures[name].at(-1)!.toFixed(1)
  console.error(
    `round ${round}: pass ${of('pass')} s, capture ${of('capture')} + steps ${of('steps')} s, single ${of('single')} s`,
  )
}
demo.close()
await pool.close()
const median = (name: keyof typeof figures) => spread(figures[name]).median
console.log(
  `${await machine()}; ${trainTokens} tokens, batch ${batchSize}, ${dSae} latents, hooks ${hooks.join(', ')}\n`,
)
console.log(
  markdown(
    ['twelve SAEs', 'seconds (min / median / max)'],
    [
      ['in one pass', show(spread(figures.pass), 1)],
      ['one capture', show(spread(figures.capture), 1)],
      ['twelve times the measured steps', show(spread(figures.steps), 1)],
      ['twelve single runs', show(spread(figures.single), 1)],
    ],
  ),
)
console.log(
  `\npass / (capture + steps) = ${(median('pass') / (median('capture') + median('steps'))).toFixed(3)} (≤ 1.1), single runs / pass = ${(median('single') / median('pass')).toFixed(2)} (≥ 2.3)`,
)

/** Seconds of a whole training, its saving included. */
async function train(some: readonly TrainMember[]): Promise<number> {
  const read = [...new Set(some.flatMap(({ inputs }) => inputs))]
  const forward = await demo.forward(read)
  const out = join(folder, 'run')
  rmSync(out, { recursive: true, force: true })
  const began = performance.now()
  await trainSaes({
    pool,
    forward,
    contextsPerCall,
    source: demo.source({ seed }),
    members: some,
    settings: { trainTokens, batchSize, seed },
    modelName: 'demo',
    datasets: ['demo'],
    out,
  })
  const seconds = (performance.now() - began) / 1000
  await forward.close()
  return seconds
}

/** Seconds of capturing what the pass captures, and of the steps that its learners take, each in a run of its own. */
async function terms(): Promise<{ capture: number; steps: number }> {
  const forward = await demo.forward(hooks)
  const source = demo.source({ seed })
  const window = await createActivationBuffer({
    pool,
    forward,
    contextsPerCall,
    hooks,
    source,
    contexts: windowContexts,
    seed,
  })
  let left = Math.ceil(trainTokens / batchSize)
  const wholeSteps = left
  let capture = 0
  for (let index = 0; left > 0; index++) {
    const began = performance.now()
    left -= Math.floor((await window.fill(index)) / batchSize)
    capture += performance.now() - began
  }
  let steps = 0
  for (const member of members) {
    const complete = completeMember({
      member,
      widthOf: () => width,
      batchSize,
      totalSteps: wholeSteps,
      trainTokens,
    })
    const { plan, dynamicsAt } = complete
    const weights = initialWeights({ ...complete, seed })
    const learner = await createLearner({
      pool,
      plan,
      batchSize,
      weights,
    })
    const times: number[] = []
    for (let step = 0; step < 30; step++) {
      const began = performance.now()
      await learner.load({
        rows: { ...window.rows, offset: window.rows.offset + step * batchSize * 4 },
        inputs: [{ activations: window.activations(member.inputs[0]), width, normaliser: { kind: 'none' } }],
      })
      await learner.encode(dynamicsAt(step, seed))
      await learner.decode()
      const norm = await learner.gradients()
      await learner.update({
        learningRate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        clipScale: norm > 1 ? 1 / norm : 1,
      })
      await learner.afterStep()
      if (step > 0) times.push(performance.now() - began)
    }
    await learner.close()
    steps += spread(times).median * wholeSteps
  }
  await window.close()
  await forward.close()
  return { capture: capture / 1000, steps: steps / 1000 }
}

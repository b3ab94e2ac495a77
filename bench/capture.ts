// The speed of capture at GPT-2-small's shape, 8 contexts of 128 tokens, two threads, in turns with the peers:
// transformers to the last layer, a torch forward stopped at the same block, SAELens's HookedProxyLM.
//   node bench/capture.ts --model DIR [--rounds 7]      (DIR made by oracle/make_gpt2_small.py)
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compileForward, openModel } from '@mistudio/model'
import { openWorkerPool } from '@mistudio/tensor'
import { gemmSpeed } from '../packages/tensor/src/gemm_speed.ts'
import { machine, markdown, openPeer, settle, show, spread } from './shared/peer.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    'contexts-per-call': { type: 'string', default: '1' },
    'no-peer': { type: 'boolean' },
  },
})
if (values.model === undefined)
  throw new Error('--model DIR is needed: a folder made by oracle/make_gpt2_small.py')
const rounds = Number(values.rounds)
const contextsPerCall = Number(values['contexts-per-call'])
const contexts = 8
const contextSize = 128

const pool = await openWorkerPool({ count: 2 })
console.log(
  `${await machine()}; GEMM ${(await gemmSpeed({ pool })).toFixed(0)} GFLOP/s on two threads; ${rounds} rounds after one to warm up`,
)
const model = await openModel({ dir: values.model, cacheDir: join(tmpdir(), 'mistudio-capture-bench') })
const { input_ids: inputIds } = JSON.parse(readFileSync(join(values.model, 'input_ids.json'), 'utf8')) as {
  input_ids: number[][]
}
const { nLayers } = model.config
const half = nLayers / 2 - 1
const cases = [
  { name: `to the last layer (${nLayers})`, layer: nLayers - 1, modes: [['transformers', 1]] },
  {
    name: `half depth (block ${half})`,
    layer: half,
    modes: [
      ['stopped', 1],
      ['saelens', 1],
      ['saelens_whole', 1.5],
    ],
  },
] as const

const rows: string[][] = []
for (const { name, layer, modes } of cases) {
  const hook = `blocks.${layer}.hook_resid_post`
  const forward = await compileForward({ model, pool, contextsPerCall, contextSize, captures: [hook] })
  const width = forward.outputs[0].width
  const memory = await pool.memory({ bytes: contexts * contextSize * (width + 1) * 4 + 4096 })
  const place = (elements: number) => ({ memory: memory.id, offset: memory.alloc(elements * 4) })
  const places = { input_ids: place(contexts * contextSize), [hook]: place(contexts * contextSize * width) }
  memory.i32(places.input_ids.offset, contexts * contextSize).set(inputIds.flat())
  const tasks = forward.tasks({ contexts, places })
  const run = async () => {
    const began = performance.now()
    await pool.run(tasks)
    return performance.now() - began
  }
  for (const [mode, target] of modes) {
    const peer = values['no-peer']
      ? undefined
      : await openPeer({
          name: 'capture.py',
          args: ['--model', values.model, '--mode', mode, '--layer', String(layer), '--threads', '2'],
        })
    const ours: number[] = []
    const theirs: number[] = []
    let rss = 0
    for (let round = 0; round <= rounds; round++) {
      const time = await run()
      if (round > 0) ours.push(time)
      if (peer === undefined) continue
      const [answer] = await peer.ask('run 1')
      if (round > 0) theirs.push(Number(answer.ms))
      rss = Math.max(rss, Number(answer.peak_rss_bytes))
      await settle()
    }
    await peer?.close()
    const ratio = peer === undefined ? '–' : (spread(theirs).median / spread(ours).median).toFixed(2)
    rows.push([
      name,
      mode,
      show(spread(ours)),
      peer === undefined ? '–' : show(spread(theirs)),
      ratio,
      `≥ ${target}`,
      `${(rss / 1e6).toFixed(0)}`,
    ])
  }
  await forward.close()
  await pool.release(memory)
}
await pool.close()
console.log(
  `\n${markdown(['capture', 'peer', 'ours ms (min / median / max)', 'peer ms', 'ratio of medians', 'target', 'peer peak RSS MB'], rows)}`,
)
console.log(`\nOur peak RSS over all of it: ${(process.resourceUsage().maxRSS / 1000).toFixed(0)} MB`)

// kill -9 of the studio and of its runner, twenty random moments of a training and of a batch of two extractions each.
//   node bench/studio_kills.ts [--kills 20] [--seed 1]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { studioKillLoop } from '../tests/studio_kill_loop.ts'
import { machine } from './shared/peer.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
})
const dataDir = mkdtempSync(join(tmpdir(), 'mistudio-studio-kills-'))
try {
  console.log(await machine())
  const plan = (['training', 'batch'] as const).flatMap(scenario =>
    (['server', 'runner'] as const).flatMap(victim =>
      Array.from({ length: Number(values.kills) }, () => ({ scenario, victim })),
    ),
  )
  const kills = await studioKillLoop({
    dataDir,
    modelDir: fileURLToPath(new URL('../assets/demo/model', import.meta.url)),
    plan,
    seed: Number(values.seed),
    sizes: {
      words: 20_000,
      dSae: 1024,
      trainTokens: 60_000,
      batchSize: 512,
      contextSize: 64,
      maxTokens: 15_000,
    },
    onKill: kill => console.log(JSON.stringify(kill)),
  })
  const hit = kills.filter(({ attempts }) => attempts.some(count => count > 1)).length
  console.log(`${kills.length} of ${plan.length} ended right; ${hit} of them hit a runner's work`)
} finally {
  rmSync(dataDir, { recursive: true, force: true })
}

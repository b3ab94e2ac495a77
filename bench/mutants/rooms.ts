// The rooms that mutants are drawn in: the parts whose faults would not show, only spoil figures.
import { globSync } from 'node:fs'

/** Patterns of files, relative to the root of the repository. */
export const rooms: Readonly<Record<string, readonly string[]>> = {
  kernels: ['packages/tensor/assembly/*.ts'],
  'worker pool and runners': [
    'packages/tensor/src/{worker_pool,pool_worker,with_worker_pool}.ts',
    'apps/studio/src/runners/*.ts',
  ],
  'top-k structures': [
    'packages/feature/src/collect/*.ts',
    'packages/training/src/learner/{select,screen,scoring}.ts',
  ],
  'order and masks': [
    'packages/corpus/src/{order,mixture,token_store,store_format,held_out}.ts',
    'packages/capture/src/buffer/*.ts',
    'packages/capture/src/sources.ts',
  ],
  metrics: ['packages/sae/src/metrics.ts', 'packages/evaluation/src/**/*.ts'],
  training: [
    'packages/training/src/{run,finish,start,families,learner}/**/*.ts',
    'packages/training/src/{families,plan,schedule}.ts',
  ],
  'state machines': [
    'packages/contract/src/states.ts',
    'apps/studio/src/jobs/**/*.ts',
    'apps/studio/src/domain/**/move*.ts',
  ],
  'readers of files': [
    'packages/files/src/*.ts',
    'packages/sae/src/formats/**/*.ts',
    'packages/tokenizer/src/*.ts',
    'packages/capture/src/cache/*.ts',
    'packages/model/src/{config,config_reader,weights,load,widen}.ts',
  ],
  'model runtimes': [
    'packages/model/src/runtimes/*.ts',
    'packages/model/src/architectures/*.ts',
    'packages/model/src/{ops,rope}.ts',
  ],
  "web's live state": ['apps/web/src/live/*.ts', 'apps/web/src/charts/*.ts'],
}

/** The files of a room, sorted; tests and what only tests use are not mutated. */
export function filesOf(options: { root: string; room: string }): string[] {
  const { root, room } = options
  const found = rooms[room].flatMap(pattern => globSync(pattern, { cwd: root }))
  const isCode = (file: string) => !/\.test\.ts$|\.d\.ts$|\/index\.ts$/.test(file)
  return [...new Set(found)].filter(isCode).sort()
}

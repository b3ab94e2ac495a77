// The data folder: which artefact lies where. Rows hold paths relative to it, so the folder can move; a path that
// leads out of it is refused wherever it comes from.
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ProblemError } from './problem.ts'

export type Storage = {
  dataDir: string
  /** @throws ProblemError for a path that is absolute or leads out of the data folder */
  resolve(path: string): string
  /** The path of a file in the data folder, as rows hold it: with forward slashes. */
  relative(path: string): string
  /** A model's folder: absolute paths and `demo:model` are allowed here. */
  modelDir(path: string): string
  /** Widened weights and the like: can be removed at any time while nothing runs. */
  cacheDir: string
}

/** A path of a row that means a folder of the program's own assets, wherever that lies on this machine. */
export const demoModelPath = 'demo:model'

export const demoAssets = fileURLToPath(new URL('../../../assets/demo', import.meta.url))

export function createStorage(options: { dataDir: string }): Storage {
  const dataDir = resolve(options.dataDir)
  function inside(path: string): string {
    const full = resolve(dataDir, path)
    if (!isAbsolute(path) && full.startsWith(dataDir + sep)) return full
    throw new ProblemError('invalid', {
      title: 'a path leads out of the data folder',
      field: 'path',
      found: path,
      expected: 'a path relative to the data folder',
    })
  }
  return {
    dataDir,
    resolve: inside,
    relative: path => relative(dataDir, path).split(sep).join('/'),
    modelDir(path) {
      if (path === demoModelPath) return join(demoAssets, 'model')
      return isAbsolute(path) ? path : inside(path)
    },
    cacheDir: join(dataDir, 'cache'),
  }
}

/** Folders of artefacts, relative to the data folder. A job's attempts write beside each other. */
export const folders = {
  dataset: (id: string) => `datasets/${id}`,
  tokenization: (id: string) => `tokenizations/${id}`,
  training: (id: string) => `trainings/${id}`,
  /** SAEs made of checkpoints: `step-N` in it. */
  finalised: (trainingId: string) => `trainings/${trainingId}/finalised`,
  sae: (id: string) => `saes/${id}`,
  extraction: (id: string) => `extractions/${id}`,
  attempt: (folder: string, attempt: number) => `${folder}/attempt-${attempt}`,
  database: 'database',
  lock: 'studio.lock',
} as const

// Options of the commands that read a model's activations: models, and the shares of datasets.
import { existsSync } from 'node:fs'
import { InputError } from '@mistudio/files'

/** `0.7,0.3` as numbers. @throws InputError; whether they can mix the datasets is judged where they are read */
export function datasetWeights(text: string | undefined): number[] | null {
  if (text === undefined) return null
  const weights = text.split(',').map(word => (word.trim() === '' ? Number.NaN : Number(word)))
  if (weights.every(Number.isFinite)) return weights
  throw new InputError({
    message: 'these weights cannot mix the datasets',
    field: '--dataset-weights',
    found: text,
    expected: 'numbers separated by commas, one for each --dataset',
  })
}

/** Folders of models: several words, or one with commas that is no folder itself. */
export const modelFolders = (words: readonly string[]): string[] =>
  words.flatMap(word => (existsSync(word) ? [word] : word.split(',')))

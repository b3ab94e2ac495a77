// Prepares a model and finished SAEs for `evaluateSaes`: one capture for all of them, and one splice per set of
// output hook points, shared by the SAEs that have it.

import { compileCapture, type Forward } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import { compileSplice, type LanguageModel } from '@mistudio/model'
import type { HookSpan, Sae } from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import type { EvaluateMember } from './evaluate.ts'
import type { SpliceForward } from './spliced.ts'

export type OpenEvaluation = {
  saes: EvaluateMember[]
  prefix: Forward
  contextsPerCall: number
  close(): Promise<void>
}

/** @throws InputError naming the SAE's folder if an SAE does not fit the model */
export async function openEvaluation(options: {
  model: LanguageModel
  pool: WorkerPool
  contextSize: number
  /** `file` is named in errors. */
  saes: readonly { sae: Omit<Sae, 'family'>; file?: string }[]
}): Promise<OpenEvaluation> {
  const { model, pool, contextSize, saes } = options
  for (const one of saes) checkSaeFits({ ...one, model })
  const opened: { close(): Promise<void> }[] = []
  const splices = new Map<string, Awaited<ReturnType<typeof compileSplice>>>()
  try {
    const members: EvaluateMember[] = []
    for (const { sae } of saes) {
      const hooks = sae.hooks.outputs.map(({ hook }) => hook)
      const key = JSON.stringify([...hooks].sort())
      let splice = splices.get(key)
      if (splice === undefined) {
        splice = await compileSplice({ model, pool, hooks, contextSize })
        splices.set(key, splice)
        opened.push(splice)
      }
      members.push({ sae, splice })
    }
    const hooks = members.flatMap(({ sae, splice }) => hooksOf(sae, splice))
    const capture = await compileCapture({ models: [model], pool, hooks, contextSize })
    opened.push(capture)
    const { forward: prefix, contextsPerCall } = capture
    return { saes: members, prefix, contextsPerCall, close: () => closeAll(opened) }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

async function closeAll(opened: readonly { close(): Promise<void> }[]): Promise<void> {
  for (const one of opened) await one.close()
}

const hooksOf = ({ hooks }: Pick<Sae, 'hooks'>, splice: SpliceForward): string[] => [
  ...hooks.inputs.map(({ hook }) => hook),
  ...hooks.outputs.map(({ hook }) => hook),
  ...splice.frontier,
]

/** @throws InputError naming the hook point that the model lacks, or whose width differs */
export function checkSaeFits(options: {
  sae: Pick<Sae, 'hooks'>
  file?: string
  model: Pick<LanguageModel, 'name' | 'hooks' | 'hookPoints'>
}): void {
  const { sae, file, model } = options
  const check = ({ hook, width }: HookSpan, side: string) => {
    const own = model.hooks.find(({ name }) => name === hook)?.width
    if (own === width) return
    const message = `the SAE does not fit the model ${model.name}`
    if (own === undefined) {
      const expected = `one of ${model.hookPoints.join(', ')}`
      throw new InputError({ message, file, field: `hook_name${side}`, found: hook, expected })
    }
    const expected = `${own}, the width of ${hook}`
    throw new InputError({
      message,
      file,
      field: side === '' ? 'd_in' : 'd_out',
      found: String(width),
      expected,
    })
  }
  for (const span of sae.hooks.inputs) check(span, '')
  for (const span of sae.hooks.outputs) check(span, '_out')
}

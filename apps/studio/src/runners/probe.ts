// Probe: five seconds of measuring for advice before a training, in a process of its own as everything that computes.

import { type ContextSource, shuffledContexts } from '@mistudio/capture'
import { openTokenStore, type TokenStore } from '@mistudio/corpus'
import { checkStore, compileForward, contextsPerCall, openModel } from '@mistudio/model'
import { withLanes } from '@mistudio/tensor'
import { completeMember, probeMachine } from '@mistudio/training'
import type { Work } from './context.ts'
import type { ProbeSpec } from './spec.ts'

export const probe: Work<'probe'> = async (spec, context) => {
  const { modelDir, cacheDir, contextSize, members } = spec
  const model = await openModel({ dir: modelDir, cacheDir })
  const stores: TokenStore[] = []
  try {
    for (const dir of spec.stores) stores.push(openTokenStore({ dir }))
    for (const store of stores) checkStore({ store, model })
    const hooks = [...new Set(members.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))]
    const perCall = contextsPerCall(contextSize)
    const splits = stores.map(store => store.split('train')).filter(split => split.contexts > 0)
    const source =
      splits.length === 0
        ? drawnTokens({ contextSize, vocabSize: model.config.vocabSize })
        : shuffledContexts({ splits, contextSize, seed: 0 })
    return await withLanes({ threads: context.threads }, async lanes => {
      const forward = await compileForward({
        model,
        lanes,
        contextsPerCall: perCall,
        contextSize,
        captures: hooks,
      })
      try {
        const widthOf = (hook: string) => model.hooks.find(({ name }) => name === hook)!.width
        const measured = await probeMachine({
          lanes,
          small: sizes => smaller({ spec, widthOf, ...sizes }),
          capture: { forward, contextsPerCall: perCall, source, hooks },
        })
        return { kind: 'probe', probe: splits.length === 0 ? { ...measured, scales: {} } : measured }
      } finally {
        await forward.close()
      }
    })
  } finally {
    for (const store of stores) store.close()
  }
}

/** The members with fewer latents where their settings allow it. */
function smaller(options: {
  spec: ProbeSpec
  widthOf: (hook: string) => number
  dSae: number
  batchSize: number
}) {
  const { spec, widthOf, dSae, batchSize } = options
  const { totalSteps } = spec
  return spec.members.map(member => {
    const complete = (latents: number) =>
      completeMember({
        member: { ...member, dSae: latents },
        widthOf,
        batchSize,
        totalSteps,
        trainTokens: totalSteps * batchSize,
      })
    try {
      return complete(Math.min(member.dSae, dSae))
    } catch {
      return complete(member.dSae)
    }
  })
}

/** Any tokens: how fast a model runs does not depend on the text. */
function drawnTokens(options: { contextSize: number; vocabSize: number }): ContextSource {
  const { contextSize, vocabSize } = options
  return {
    contextSize,
    contexts: 1024,
    read({ first, ids, mask }) {
      mask.fill(1)
      for (let i = 0; i < ids.length; i++) {
        ids[i] = (Math.imul(first * contextSize + i + 1, 0x9e3779b1) >>> 0) % vocabSize
      }
    },
  }
}

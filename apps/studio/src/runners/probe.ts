// Probe: five seconds of measuring for advice before a training, in a process of its own as everything that computes.
import { withCapture } from '@mistudio/capture'
import { withWorkerPool } from '@mistudio/tensor'
import { completeMember, probeMachine } from '@mistudio/training'
import type { Work } from './context.ts'
import type { ProbeSpec } from './spec.ts'

export const probe: Work<'probe'> = async (spec, { threads }) => {
  const { modelDirs: models, cacheDir, stores, contextSize, members } = spec
  const hooks = [...new Set(members.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))]
  const texts = { stores, contextSize, orDrawn: true }
  return await withWorkerPool({ threads }, pool =>
    withCapture({ pool, models, hooks, cacheDir, texts }, async capture => {
      const measured = await probeMachine({
        pool,
        small: sizes => smaller({ spec, widthOf: capture.activations.widthOf, ...sizes }),
        capture: { ...capture, hooks },
      })
      // Drawn tokens say how fast the model runs, and nothing of its activations.
      return { kind: 'probe', probe: capture.drawn ? { ...measured, scales: {} } : measured }
    }),
  )
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

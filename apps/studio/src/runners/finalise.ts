// Finalise: SAEs out of a checkpoint of a training, without training on.
import { join } from 'node:path'
import { finaliseCheckpoint } from '@mistudio/training'
import type { Work } from './context.ts'
import { withActivations } from './train_capture.ts'

export const finalise: Work<'finalise'> = (spec, context) =>
  withActivations(spec, context, async opened => {
    const { step, saes } = await finaliseCheckpoint({
      ...opened,
      run: spec.runDir,
      step: spec.step,
      into: join(spec.out, 'saes'),
    })
    return { kind: 'finalise', step, saes: saes.map(({ name }) => name) }
  })

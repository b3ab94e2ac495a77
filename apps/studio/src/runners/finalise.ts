// Finalise: SAEs out of a checkpoint of a training, without training on.
import { join } from 'node:path'
import { captureWindows } from '@mistudio/capture'
import { finaliseCheckpoint } from '@mistudio/training'
import type { Work } from './context.ts'
import { withText } from './train_text.ts'

export const finalise: Work<'finalise'> = (spec, context) =>
  withText(spec, context, async opened => {
    const { step, saes } = await finaliseCheckpoint({
      lanes: opened.lanes,
      run: spec.runDir,
      step: spec.step,
      into: join(spec.out, 'saes'),
      windows: captureWindows(opened),
    })
    return { kind: 'finalise', step, saes: saes.map(({ name }) => name) }
  })

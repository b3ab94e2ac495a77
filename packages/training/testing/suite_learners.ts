// The learners that the suites judge. A new one is one line here.

import { createLearner } from '../src/learner/learner.ts'
import type { Learner, LearnerOptions } from '../src/learner.ts'
import { createOracleLearner } from './oracle/learner.ts'

export type Kind = {
  name: string
  create: (options: LearnerOptions) => Promise<Learner>
  latentsPerBlock?: number
}

export const oracle: Kind = { name: 'oracle', create: createOracleLearner }

export const learners: readonly Kind[] = [
  oracle,
  { name: 'fast', create: createLearner },
  { name: 'split fast', create: createLearner, latentsPerBlock: 9 },
  { name: 'screened', create: options => createLearner({ ...options, scoring: 'screened' }) },
  {
    name: 'split screened',
    create: options => createLearner({ ...options, scoring: 'screened' }),
    latentsPerBlock: 9,
  },
]

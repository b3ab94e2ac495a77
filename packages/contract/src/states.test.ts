// The state machines as graphs, and the displayed state.
import { expect, test } from 'vitest'
import {
  canMove,
  type ExtractionStatus,
  extractionMachine,
  isTerminal,
  jobMachine,
  type Machine,
  type NlpStatus,
  nlpMachine,
  type Stage,
  stageOf,
  stages,
  statesOf,
  tokenizationMachine,
  trainingMachine,
} from './states.ts'

const machines: Machine<string>[] = [
  jobMachine,
  trainingMachine,
  extractionMachine,
  nlpMachine,
  tokenizationMachine,
]

test.each(machines)('$entity: each state is reached from the first and can come to an end', machine => {
  const states = statesOf(machine)
  for (const targets of Object.values(machine.moves)) {
    expect(states).toEqual(expect.arrayContaining([...targets]))
  }
  const reachedFrom = (start: string) => {
    const reached = new Set([start])
    for (const state of reached) for (const next of machine.moves[state]) reached.add(next)
    return [...reached]
  }
  expect(reachedFrom(states[0]).sort()).toEqual([...states].sort())
  for (const state of states) {
    expect(
      reachedFrom(state).some(other => isTerminal(machine, other)),
      state,
    ).toBe(true)
  }
})

test.each(machines)(
  '$entity: nothing leaves an end, and what has not ended can fail or be cancelled',
  machine => {
    for (const state of statesOf(machine)) {
      const ended = ['completed', 'ready', 'failed', 'cancelled'].includes(state)
      expect(isTerminal(machine, state), state).toBe(ended)
      for (const other of statesOf(machine)) if (ended) expect(canMove(machine, state, other)).toBe(false)
      if (!ended) expect(canMove(machine, state, 'cancelled'), state).toBe(true)
      if (!ended && state !== 'paused') expect(canMove(machine, state, 'failed'), state).toBe(true)
    }
  },
)

test('a crash puts work back where it can be started again', () => {
  expect(canMove(jobMachine, 'running', 'queued')).toBe(true)
  expect(canMove(trainingMachine, 'running', 'pending')).toBe(true)
  expect(canMove(extractionMachine, 'extracting', 'queued')).toBe(true)
  expect(canMove(nlpMachine, 'processing', 'pending')).toBe(true)
  expect(canMove(tokenizationMachine, 'tokenizing', 'queued')).toBe(true)
  expect(canMove(jobMachine, 'completed', 'running')).toBe(false)
})

test.each<[ExtractionStatus, NlpStatus | null, Stage]>([
  ['queued', 'pending', 'QUEUED'],
  ['extracting', 'pending', 'EXTRACTING'],
  ['extracting', null, 'EXTRACTING'],
  ['completed', 'pending', 'NLP_PENDING'],
  ['completed', 'processing', 'NLP_ANALYSIS'],
  ['completed', null, 'COMPLETED'],
  ['completed', 'completed', 'COMPLETED'],
  ['completed', 'failed', 'COMPLETED'],
  ['completed', 'cancelled', 'COMPLETED'],
  ['failed', 'cancelled', 'FAILED'],
  ['cancelled', 'cancelled', 'CANCELLED'],
])('an extraction that is %s with an analysis that is %s is shown as %s', (status, nlp_status, stage) => {
  expect(stageOf({ status, nlp_status })).toBe(stage)
})

test('every pair of states has a stage, and every stage a pair', () => {
  const analyses = [null, ...statesOf(nlpMachine)]
  const shown = statesOf(extractionMachine).flatMap(status =>
    analyses.map(nlp_status => stageOf({ status, nlp_status })),
  )
  expect([...new Set(shown)].sort()).toEqual([...stages].sort())
})

// Progress on a terminal and elsewhere, with a clock that the test moves.
import { expect, it } from 'vitest'
import { createPace, createScreen } from './progress.ts'

const at = (done: number, stage = 'training') => ({ stage, done, total: 1000, unit: 'tokens' })

it('tells the rate of the last half minute and what is left by it', () => {
  const pace = createPace()
  expect(pace(at(0), 0)).toEqual({ rate: null, etaSeconds: null })
  expect(pace(at(100), 10)).toEqual({ rate: 10, etaSeconds: 90 })
  // A pause of 90 s lies outside the window soon after.
  pace(at(100), 100)
  expect(pace(at(200), 110)).toEqual({ rate: 10, etaSeconds: 80 })
  expect(pace(at(1000), 111).etaSeconds).toBe(0)
  expect(pace(at(0, 'next'), 112)).toEqual({ rate: null, etaSeconds: null })
})

function screen(columns: number | undefined) {
  const clock = { now: 0 }
  let written = ''
  const shown = createScreen({ write: text => void (written += text), columns, now: () => clock.now })
  return { clock, shown, written: () => written }
}

it('writes a plain line at a new stage, every ten seconds and at the end', () => {
  const { clock, shown, written } = screen(undefined)
  for (let i = 0; i <= 20; i++) {
    clock.now = i
    shown.progress(at(i * 50))
  }
  clock.now = 40
  shown.progress(at(1000))
  shown.end()
  expect(written().split('\n')).toEqual([
    'training  0 %  0 of 1,000 tokens',
    'training  50 %  500 of 1,000 tokens  50/s  10 s left',
    'training  100 %  1,000 of 1,000 tokens  50/s',
    '',
  ])
})

it('rewrites one line on a terminal, cut to its width, and keeps notes above it', () => {
  const { clock, shown, written } = screen(20)
  shown.progress(at(0))
  clock.now = 1
  shown.progress(at(10))
  shown.note('saved')
  shown.end()
  expect(written()).toBe('training  0 %  0 o…\r\u001b[Ktraining  1 %  10 …\r\u001b[Ksaved\n')
})

// What people read: figures, units, tables with wide characters, and tokens that would break a line.
import { expect, it } from 'vitest'
import { bytes, count, duration, figure, pairs, percent, table, visible, widthOf } from './output.ts'

it('writes figures with the digits that matter', () => {
  expect([0.123456, 12.3456, 1234.5, 0, -0.5].map(value => figure(value))).toEqual([
    '0.123',
    '12.3',
    '1,235',
    '0.00',
    '-0.500',
  ])
  expect(figure(0.00001234)).toBe('1.23e-5')
  expect([figure(null), figure(Number.NaN), count(null), percent(null)]).toEqual(['–', 'NaN', '–', '–'])
})

it('writes units', () => {
  expect([bytes(0), bytes(1536), bytes(3 * 1024 ** 3)]).toEqual(['0 B', '1.5 KiB', '3.0 GiB'])
  expect([duration(0.44), duration(42.4), duration(83), duration(7260)]).toEqual([
    '0.4 s',
    '42 s',
    '1 min 23 s',
    '2 h 1 min',
  ])
  expect([count(1_234_567), percent(0.034)]).toEqual(['1,234,567', '3.4 %'])
})

it('aligns tables: figures right, words left, wide characters as two columns', () => {
  expect(
    table({
      head: ['name', 'n'],
      rows: [
        ['a', '1'],
        ['中文字', '1,234'],
      ],
    }),
  ).toBe(['name        n', '──────  ─────', 'a           1', '中文字  1,234'].join('\n'))
  expect(
    pairs([
      ['ab', 'x'],
      ['é', 'y'],
    ]),
  ).toBe('ab  x\né   y')
})

it('measures what a terminal shows', () => {
  expect([widthOf('abc'), widthOf('e\u0301'), widthOf('日本'), widthOf('🙂')]).toEqual([3, 1, 4, 2])
})

it('keeps a token on its line', () => {
  expect(visible('a\n\tb\u001b[2J')).toBe('a⏎⇥b\\x1b[2J')
})

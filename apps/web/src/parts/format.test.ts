import { expect, test } from 'vitest'
import {
  formatBytes,
  formatClock,
  formatCount,
  formatDuration,
  formatFigure,
  formatNumberOf,
  formatPercent,
  formatProgress,
  formatRate,
  formatShort,
  formatTick,
  formatTime,
} from './format.ts'

test.each([
  [0, '0'],
  [0.12345, '0.1235'],
  [12.3456, '12.35'],
  [123456.7, '123,457'],
  [-0.5, '-0.5000'],
  [32, '32.00'],
  [0.0000123, '1.23e-5'],
])('a measured value %d is %s', (value, text) => expect(formatFigure(value)).toBe(text))

test.each([
  [0, '0%'],
  [0.123456, '12.3%'],
  [0.000012345, '0.00123%'],
  [0.000001, '1.0e-4%'],
  [0.0059, '0.590%'],
  [1, '100%'],
])('a share %d is %s', (value, text) => expect(formatPercent(value)).toBe(text))

test('axes have no trailing zeros', () => {
  expect([0, 0.5, 1, 12.34, 2048].map(value => formatTick(value))).toEqual(['0', '0.5', '1', '12.3', '2,048'])
  expect([0.25, 999, 20_000, 1_500_000].map(formatShort)).toEqual(['0.25', '999', '20K', '1.5M'])
})

test('progress is 100% only at the end', () => {
  expect(formatProgress(0.9999)).toBe('99%')
  expect(formatProgress(0.29)).toBe('29%')
  expect(formatProgress(1)).toBe('100%')
})

test.each([
  [0.4, '0 s'],
  [59.6, '1 min 00 s'],
  [192, '3 min 12 s'],
  [3720, '1 h 02 min'],
  [183_600, '2 d 3 h'],
])('%d seconds are %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text))

test('positions on a time axis', () => {
  expect([0, 7.4, 750, 3723].map(formatClock)).toEqual(['0:00', '0:07', '12:30', '1:02:03'])
})

test.each([
  [999, '999 B'],
  [1000, '1.00 kB'],
  [999_600, '1.00 MB'],
  [8_242_676, '8.24 MB'],
])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

test('a time includes its year unless it is this one', () => {
  const now = new Date(2026, 5, 1)
  expect(formatTime(new Date(2026, 0, 14, 9, 30).toISOString(), now)).toBe('14 Jan, 09:30')
  expect(formatTime(new Date(2025, 0, 14, 9, 30).toISOString(), now)).toBe('14 Jan 2025, 09:30')
})

test('counts and rates', () => {
  expect(formatCount(1234567)).toBe('1,234,567')
  expect(formatRate(12345.6, 'tokens')).toBe('12,346 tokens/s')
  expect(formatRate(4.3216, 'samples')).toBe('4.32 samples/s')
  expect([formatNumberOf(1, 'dataset'), formatNumberOf(2, 'dataset')]).toEqual(['1 dataset', '2 datasets'])
})

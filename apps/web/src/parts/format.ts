// Numbers, times and sizes as text, in one place, so that a figure looks the same on every page.
import type { SettingValue } from '@mistudio/contract'

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })
const dayAndTime = { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' } as const
const thisYear = new Intl.DateTimeFormat('en-GB', dayAndTime)
const otherYear = new Intl.DateTimeFormat('en-GB', { ...dayAndTime, year: 'numeric' })

/** 1,234,567 */
export const formatCount = (value: number): string => whole.format(value)

/** 1.23M, for axes and tight spaces; values below 1000 as `formatTick`. */
export const formatShort = (value: number): string =>
  Math.abs(value) < 1000 ? formatTick(value) : short.format(value)

/** A measured value with a fixed number of significant digits, so that nothing jumps: 0.1230, 12.34, 1,234, 1.2e-5. */
export const formatFigure = (value: number, digits = 4): string => significant(value, digits, digits)

/** As `formatFigure`, without trailing zeros: for axes and bounds. */
export const formatTick = (value: number, digits = 3): string => significant(value, digits, 1)

function significant(value: number, digits: number, least: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size < 1e-3) return value.toExponential(Math.max(0, digits - 2))
  if (size >= 10 ** digits) return whole.format(value)
  const options = { maximumSignificantDigits: digits, minimumSignificantDigits: least }
  return new Intl.NumberFormat('en', options).format(value)
}

/** 12.3% for a share from 0 to 1, with three significant digits however small it is. */
export function formatPercent(share: number): string {
  const percent = share * 100
  if (percent === 0) return '0%'
  if (Math.abs(percent) < 1e-3) return `${percent.toExponential(1)}%`
  return `${significant(percent, 3, 3)}%`
}

/** Progress in whole percent, 100 only when it is done. */
export const formatProgress = (share: number): string =>
  `${share >= 1 ? 100 : Math.min(99, Math.floor(share * 100 + 1e-9))}%`

/** 45 s, 3 min 12 s, 1 h 02 min, 2 d 3 h */
export function formatDuration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds))
  if (total < 60) return `${total} s`
  const minutes = Math.floor(total / 60)
  if (minutes < 60) return `${minutes} min ${String(total % 60).padStart(2, '0')} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** 0:07, 12:30, 1:02:03: a position on a time axis. */
export function formatClock(seconds: number): string {
  const total = Math.round(seconds)
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** 8.24 MB, in powers of ten. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return unit === 0 ? `${bytes} B` : `${value.toPrecision(3)} ${units[unit]}`
}

/** 12,345 tokens/s */
export const formatRate = (value: number, what: string): string =>
  `${value >= 100 ? whole.format(value) : formatFigure(value, 3)} ${what}/s`

/** 24 Nov, 14:31; with the year if it is not this one. */
export function formatTime(iso: string, now: Date = new Date()): string {
  const time = new Date(iso)
  return (time.getFullYear() === now.getFullYear() ? thisYear : otherYear).format(time)
}

/** 1 dataset, 3 datasets */
export const formatNumberOf = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`

/** A setting's value as an input holds it: lists with commas, null as an empty text. */
export const settingText = (value: SettingValue): string =>
  value === null ? '' : Array.isArray(value) ? value.join(', ') : String(value)

/** A setting's value for reading: whole numbers with separators, other numbers in full. */
export const formatSetting = (value: unknown): string =>
  typeof value === 'number' && Number.isInteger(value) ? formatCount(value) : String(value)

/** A count in full, any other measured value as `formatFigure`. */
export const formatMeasured = (value: number): string =>
  Number.isInteger(value) ? formatCount(value) : formatFigure(value)

/** What resid_post and the others stand for. */
export const hookNames: Record<string, string> = {
  resid_pre: 'residual stream before the block',
  resid_mid: 'residual stream between attention and MLP',
  resid_post: 'residual stream after the block',
  attn_out: 'attention output added to the stream',
  mlp_out: 'MLP output added to the stream',
}

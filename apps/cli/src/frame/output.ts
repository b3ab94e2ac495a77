// Text for people: tables whose columns fit, figures with three or four digits, bytes and durations in units.

/** Cells of a column are aligned right where all are figures, left otherwise. */
export function table({
  head,
  rows,
}: {
  head: readonly string[]
  rows: readonly (readonly string[])[]
}): string {
  const widths = head.map((title, column) =>
    Math.max(...[title, ...rows.map(row => row[column])].map(widthOf)),
  )
  const numeric = head.map((_, column) => rows.every(row => /^[-–+]?$|^[-+]?[\d.,]+ ?%?$/.test(row[column])))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => {
        const space = ' '.repeat(widths[column] - widthOf(cell))
        return numeric[column] ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd()
  return [line(head), widths.map(width => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n')
}

/** Columns that a text takes on a terminal: wide characters (CJK, emoji) take two, combining ones none. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) {
    if (/\p{Mark}|\p{Cf}/u.test(character)) continue
    width +=
      /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u3000-\u303f\uff01-\uff60]/u.test(
        character,
      )
        ? 2
        : 1
  }
  return width
}

/** Lines of `name  value`, the values under each other. */
export function pairs(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...rows.map(([name]) => widthOf(name)))
  return rows.map(([name, value]) => `${name}${' '.repeat(width - widthOf(name))}  ${value}`).join('\n')
}

/** `digits` significant digits, without an exponent where that stays readable; `–` for what was not measured. */
export function figure(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined) return '–'
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(digits - 1)
  if (size >= 10 ** digits) return count(Math.round(value))
  return value.toPrecision(digits)
}

/** 1,234,567 */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toLocaleString('en-US')
}

/** 0.034 → `3.4 %` */
export function percent(fraction: number | null | undefined): string {
  return fraction === null || fraction === undefined ? '–' : `${(100 * fraction).toFixed(1)} %`
}

/** 1,536 → `1.5 KiB` */
export function bytes(value: number): string {
  let scaled = value
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (scaled < 1024 || unit === 'TiB') return `${unit === 'B' ? scaled : scaled.toFixed(1)} ${unit}`
    scaled /= 1024
  }
  return ''
}

/** 83 → `1 min 23 s` */
export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${seconds < 10 ? Math.round(10 * seconds) / 10 : whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** Control characters and line ends made visible, so that a token stays on its line. */
export function visible(text: string): string {
  return text
    .replaceAll('\n', '⏎')
    .replaceAll('\t', '⇥')
    .replace(/\p{Cc}/gu, character => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

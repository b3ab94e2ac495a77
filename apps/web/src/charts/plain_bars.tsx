// A histogram of counts under names: bars for the eye, a list for everyone else.
import { formatCount, formatShort } from '../parts/format.ts'
import { Definition } from '../parts/hint.tsx'

export function Bars(props: {
  title: string
  about: string
  /** What is counted. */
  unit: string
  bars: { name: string; count: number }[]
}) {
  const { title, about, unit, bars } = props
  const first = bars.findIndex(({ count }) => count > 0)
  const last = bars.findLastIndex(({ count }) => count > 0)
  const shown = first < 0 ? [] : bars.slice(first, last + 1)
  const most = Math.max(1, ...shown.map(({ count }) => count))
  return (
    <figure className="min-w-0" aria-label={title}>
      <figcaption className="mb-2 flex items-center gap-1 text-xs font-semibold text-mute">
        {title}
        <Definition of={title} text={about} />
      </figcaption>
      {shown.length === 0 ? (
        <p className="text-xs text-mute">none counted</p>
      ) : (
        <ol className="flex h-36 items-end gap-1">
          {shown.map(({ name, count }) => (
            <li
              key={name}
              title={`${name}: ${formatCount(count)} ${unit}`}
              className="flex h-full min-w-0 flex-1 flex-col justify-end text-center text-[10px] leading-4 text-mute"
            >
              <span className="sr-only">
                {name}: {formatCount(count)} {unit}
              </span>
              <span aria-hidden className="truncate">
                {formatShort(count)}
              </span>
              <span
                aria-hidden
                className="mx-auto w-full max-w-12 rounded-t-sm bg-accent-solid"
                style={{ height: `${count === 0 ? 0 : Math.max(1, (count / most) * 70)}%` }}
              />
              <span aria-hidden className="truncate border-t border-edge leading-5">
                {name}
              </span>
            </li>
          ))}
        </ol>
      )}
    </figure>
  )
}

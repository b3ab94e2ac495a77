// An example as text with heat: the more strongly the feature fires on a token, the stronger its colour. Hover over a
// token, tap it, or move with the arrow keys to read its value.
import type { FeatureExample } from '@mistudio/contract'
import { type KeyboardEvent, type SyntheticEvent, useRef, useState } from 'react'
import { formatFigure } from '../parts/format.ts'
import { intensities, shownToken } from './heat.ts'

/** Pixels kept free for the value at the right edge of the text. */
const valueWidth = 130

export function HeatText({ example }: { example: FeatureExample }) {
  const { token_texts, activations, peak_index, peak_activation } = example
  const heat = intensities(activations)
  const { box, shown, handlers } = useTokenInFocus({ count: token_texts.length, start: peak_index })
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for inputs
    <div
      ref={box}
      role="group"
      aria-label={`Example, peak ${formatFigure(peak_activation)}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys move over the tokens
      tabIndex={0}
      className="relative rounded-sm leading-6 break-words whitespace-pre-wrap"
      {...handlers}
    >
      {token_texts.map((text, i) => (
        <span
          // biome-ignore lint/suspicious/noArrayIndexKey: the tokens of a text never move
          key={i}
          data-index={i}
          data-activation={activations[i]}
          data-testid={i === peak_index ? 'peak-token' : undefined}
          className={`rounded-xs box-decoration-clone ${i === peak_index ? 'font-semibold underline decoration-accent decoration-2 underline-offset-4' : ''} ${shown?.index === i ? 'outline-2 outline-accent' : ''}`}
          style={backgroundOf(heat[i])}
        >
          {shownToken(text)}
        </span>
      ))}
      {shown !== undefined && (
        <span
          role="status"
          style={{ left: shown.left, top: shown.top - 28 }}
          className="pointer-events-none absolute z-10 rounded-md border border-line bg-raised px-2 py-0.5 text-xs leading-5 whitespace-nowrap shadow-lg"
        >
          <span className="text-mute">activation </span>
          <span className="font-semibold">{formatFigure(activations[shown.index])}</span>
        </span>
      )}
    </div>
  )
}

const backgroundOf = (heat: number) =>
  heat > 0
    ? { backgroundColor: `color-mix(in srgb, var(--color-heat) ${8 + heat * 52}%, transparent)` }
    : undefined

/** Which token is pointed at or reached by keyboard, and where it lies in the box, in pixels. */
function useTokenInFocus({ count, start }: { count: number; start: number }) {
  const box = useRef<HTMLDivElement>(null)
  const [shown, setShown] = useState<{ index: number; left: number; top: number }>()

  function show(index: number): void {
    const token = box.current?.querySelector<HTMLElement>(`[data-index="${index}"]`)
    const [first] = token?.getClientRects() ?? []
    if (first === undefined) return
    const frame = box.current!.getBoundingClientRect()
    const left = Math.min(Math.max(first.left - frame.left, 0), frame.width - valueWidth)
    setShown({ index, left: Math.max(0, left), top: first.top - frame.top })
  }

  function onPoint(event: SyntheticEvent): void {
    const { index } = (event.target as HTMLElement).dataset
    if (index === undefined) setShown(undefined)
    else show(Number(index))
  }

  function onKeyDown(event: KeyboardEvent): void {
    const moves: Record<string, number> = {
      ArrowRight: shown === undefined ? start : shown.index + 1,
      ArrowLeft: shown === undefined ? start : shown.index - 1,
      Home: 0,
      End: count - 1,
    }
    const to = moves[event.key]
    if (event.key === 'Escape') setShown(undefined)
    if (to === undefined) return
    event.preventDefault()
    show(Math.min(Math.max(to, 0), count - 1))
  }

  const leave = () => setShown(undefined)
  const handlers = {
    onPointerOver: onPoint,
    onPointerLeave: leave,
    onClick: onPoint,
    onKeyDown,
    onBlur: leave,
  }
  return { box, shown, handlers }
}

// An example as text with heat: the stronger the feature at a token, the stronger its colour. Point at a token, tap it,
// or walk with the arrow keys to read the value.
import type { FeatureExample } from '@mistudio/contract'
import { type KeyboardEvent, type SyntheticEvent, useRef, useState } from 'react'
import { formatFigure } from '../parts/format.ts'
import { intensities, shownToken } from './heat.ts'

type Shown = { index: number; left: number; top: number }

export function HeatText({ example }: { example: FeatureExample }) {
  const { token_texts, activations, peak_index } = example
  const heat = intensities(activations)
  const [shown, setShown] = useState<Shown>()
  const box = useRef<HTMLDivElement>(null)

  function show(index: number): void {
    const token = box.current?.querySelector<HTMLElement>(`[data-index="${index}"]`)
    if (token === null || token === undefined) return
    const [first] = token.getClientRects()
    const frame = box.current!.getBoundingClientRect()
    if (first === undefined) return
    const left = Math.min(Math.max(first.left - frame.left, 0), frame.width - 130)
    setShown({ index, left: Math.max(0, left), top: first.top - frame.top })
  }

  function onPoint(event: SyntheticEvent): void {
    const { index } = (event.target as HTMLElement).dataset
    if (index === undefined) setShown(undefined)
    else show(Number(index))
  }

  function onKeyDown(event: KeyboardEvent): void {
    const from = shown?.index ?? peak_index
    const moves: Record<string, number> = {
      ArrowRight: shown === undefined ? from : from + 1,
      ArrowLeft: shown === undefined ? from : from - 1,
      Home: 0,
      End: token_texts.length - 1,
    }
    const to = moves[event.key]
    if (event.key === 'Escape') setShown(undefined)
    if (to === undefined) return
    event.preventDefault()
    show(Math.min(Math.max(to, 0), token_texts.length - 1))
  }

  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for inputs
    <div
      ref={box}
      role="group"
      aria-label={`Example, peak ${formatFigure(example.peak_activation)}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys walk over the tokens
      tabIndex={0}
      className="relative rounded-sm leading-6 break-words whitespace-pre-wrap"
      onPointerOver={onPoint}
      onPointerLeave={() => setShown(undefined)}
      onClick={onPoint}
      onKeyDown={onKeyDown}
      onBlur={() => setShown(undefined)}
    >
      {token_texts.map((text, i) => (
        <span
          // biome-ignore lint/suspicious/noArrayIndexKey: tokens of a text never move
          key={i}
          data-index={i}
          data-activation={activations[i]}
          data-testid={i === peak_index ? 'peak-token' : undefined}
          className={`rounded-xs box-decoration-clone ${i === peak_index ? 'font-semibold underline decoration-accent decoration-2 underline-offset-4' : ''} ${shown?.index === i ? 'outline-2 outline-accent' : ''}`}
          style={
            heat[i] > 0
              ? { backgroundColor: `color-mix(in srgb, var(--color-heat) ${8 + heat[i] * 52}%, transparent)` }
              : undefined
          }
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

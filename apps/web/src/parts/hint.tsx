// A short explanation, shown on hover, on focus and on a tap.
import { Info } from 'lucide-react'
import { Tooltip } from 'radix-ui'
import { type ReactNode, useState } from 'react'

export const HintProvider = ({ children }: { children: ReactNode }) => (
  <Tooltip.Provider delayDuration={250}>{children}</Tooltip.Provider>
)

/** @param props.children one element that can be hovered or focused */
function Hint({ text, children }: { text: ReactNode; children: ReactNode }) {
  const [open, setOpen] = useState(false)
  return (
    <Tooltip.Root open={open} onOpenChange={setOpen}>
      <Tooltip.Trigger
        asChild
        onClick={event => {
          // Otherwise Radix closes what a tap or Enter has just opened.
          event.preventDefault()
          setOpen(true)
        }}
      >
        {children}
      </Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content
          sideOffset={6}
          collisionPadding={8}
          className="z-50 max-w-72 rounded-md border border-line bg-raised px-2.5 py-1.5 text-xs leading-relaxed text-ink shadow-lg"
        >
          {text}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  )
}

/** The definition of a figure, behind an icon. */
export function Definition({ of: what, text }: { of: string; text: ReactNode }) {
  return (
    <Hint text={text}>
      <button
        type="button"
        aria-label={`What is ${what}?`}
        className="rounded-sm align-[-2px] text-mute hover:text-ink [&_svg]:size-3.5"
      >
        <Info aria-hidden />
      </button>
    </Hint>
  )
}

/** Stands for a value that does not exist, and says why. */
export function Missing({ why }: { why: string }) {
  return (
    <Hint text={why}>
      <span className="cursor-help text-mute">
        <span aria-hidden>–</span>
        <span className="sr-only">not available: {why}</span>
      </span>
    </Hint>
  )
}

/** A value, or a dash with the reason. */
export function Figure<T>(props: {
  value: T | null | undefined
  format: (value: T) => ReactNode
  why: string
}) {
  const { value, format, why } = props
  return value === null || value === undefined ? <Missing why={why} /> : format(value)
}

// Says when the studio does not answer and when it is back. It lies over the page, so that nothing moves.
import { CircleCheck, Unplug } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useSocketState } from './live.ts'

const backShownMs = 4000

export function ConnectionBar() {
  const state = useSocketState()
  const lostBefore = useRef(false)
  const [back, setBack] = useState(false)
  useEffect(() => {
    if (state === 'lost') lostBefore.current = true
    if (state !== 'open' || !lostBefore.current) return
    lostBefore.current = false
    setBack(true)
    const timer = setTimeout(() => setBack(false), backShownMs)
    return () => clearTimeout(timer)
  }, [state])
  const lost = state === 'lost'
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-0 bottom-4 z-50 flex justify-center px-4"
    >
      {(lost || back) && (
        <p
          data-testid="connection"
          data-state={state}
          className={`flex items-center gap-2 rounded-lg border border-transparent px-3.5 py-2 font-medium shadow-lg ${lost ? 'bg-warn-soft text-warn' : 'bg-accent-soft text-accent'}`}
        >
          {lost ? (
            <>
              <Unplug aria-hidden className="size-4 shrink-0" />
              The studio does not answer. What you see is from before; trying again …
            </>
          ) : (
            <>
              <CircleCheck aria-hidden className="size-4 shrink-0" />
              Connected again. Everything is up to date.
            </>
          )}
        </p>
      )}
    </div>
  )
}

// Says when the studio stops responding and when it is back. It floats over the page, so that nothing moves.
import { CircleCheck, Unplug } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useSocketState } from '../live/live.ts'

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
              The studio is not responding. This page may be out of date. Reconnecting…
            </>
          ) : (
            <>
              <CircleCheck aria-hidden className="size-4 shrink-0" />
              Reconnected. Everything is up to date.
            </>
          )}
        </p>
      )}
    </div>
  )
}

// Whether there is room for a table of seven columns: the width at which its rows become cards, as in the style sheet.
import { useSyncExternalStore } from 'react'

const wide = window.matchMedia('(min-width: 64rem)')

function subscribe(listener: () => void) {
  wide.addEventListener('change', listener)
  return () => wide.removeEventListener('change', listener)
}

export const useWide = (): boolean => useSyncExternalStore(subscribe, () => wide.matches)

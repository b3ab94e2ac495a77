// The colour theme: light, dark or the system's, remembered in this browser.
import { useSyncExternalStore } from 'react'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

const storageKey = 'mistudio-theme'
const listeners = new Set<() => void>()
const systemDark = window.matchMedia('(prefers-color-scheme: dark)')
let theme: Theme = read()

function read(): Theme {
  try {
    const stored = localStorage.getItem(storageKey)
    return themes.find(known => known === stored) ?? 'system'
  } catch {
    return 'system'
  }
}

function show(): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  for (const listener of listeners) listener()
}

export function startTheme(): void {
  systemDark.addEventListener('change', show)
  show()
}

export function setTheme(next: Theme): void {
  theme = next
  try {
    localStorage.setItem(storageKey, next)
  } catch {
    // A browser without storage still shows the theme until the page is closed.
  }
  show()
}

function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, () => theme)

/** The theme on the screen; canvases have to be redrawn when it changes. */
export const useShownTheme = (): 'light' | 'dark' =>
  useSyncExternalStore(subscribe, () =>
    theme === 'system' ? (systemDark.matches ? 'dark' : 'light') : theme,
  )
